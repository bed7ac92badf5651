//! `domain::Error` to `tonic::Status` and back: the only such mapping in the workspace (AIP-193).
//! Pure and free of transport, so that servers, clients and the page read failures the same way.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use domain::{Error, ImageShape, Violations};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

/// `ErrorInfo.domain` of every failure that our services speak of.
pub const DOMAIN: &str = "deeper.dev";

/// When to come back to a service that was not there.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);
/// Details and message travel in HTTP/2 trailers, of which most peers accept 16 KiB after base64.
const MAX_VIOLATION_BYTES: usize = 6 * 1_024;
const MAX_MESSAGE_BYTES: usize = 1_024;

/// What goes over the wire. The text of an `Unexpected` error stays behind: whoever calls this for
/// one has logged it (`runtime::status::from_error` does both).
pub fn from_error(error: Error) -> Status {
    let (code, details) = describe(&error);
    let message = match &error {
        Error::Unexpected(_) => "something failed on our side; the log has the cause".to_owned(),
        told => shortened(&told.to_string(), MAX_MESSAGE_BYTES),
    };
    Status::with_error_details(code, message, details)
}

/// As [`from_error`], with the id under which the log has more.
pub fn with_request_id(error: Error, request_id: &str) -> Status {
    let (code, mut details) = describe(&error);
    details.set_request_info(request_id, "");
    Status::with_error_details(code, from_error(error).message(), details)
}

/// A status that a library made, with an `ErrorInfo` if it has no details: its reason is the code.
pub fn complete(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    let reason = match status.code() {
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Cancelled => "CANCELLED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Unavailable => "UNAVAILABLE",
        Code::NotFound => "NOT_FOUND",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        _ => "UNEXPECTED_FAILURE",
    };
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(status.code(), status.message(), details)
}

/// Code and details of an error: `ErrorInfo` always, and what else fits.
fn describe(error: &Error) -> (Code, ErrorDetails) {
    let mut details = ErrorDetails::new();
    let mut told: Vec<(&str, String)> = Vec::new();
    let (code, reason) = match error {
        Error::InvalidFields(violations) => {
            details.set_bad_request(field_violations(violations));
            (Code::InvalidArgument, "INVALID_FIELDS".to_owned())
        }
        Error::ImageShapeMismatch { got, expected } => {
            told.extend([("got", shape_text(*got)), ("expected", shape_text(*expected))]);
            (Code::InvalidArgument, "IMAGE_SHAPE_MISMATCH".to_owned())
        }
        Error::NotFound { kind, resource } => {
            details.set_resource_info(*kind, resource, "", "was not found");
            (Code::NotFound, format!("{kind}{NOT_FOUND}"))
        }
        Error::AlreadyExists { kind, resource } => {
            details.set_resource_info(*kind, resource, "", "exists already");
            (Code::AlreadyExists, format!("{kind}{EXISTS}"))
        }
        Error::FailedPrecondition { reason, subject, description } => {
            let violation = PreconditionViolation::new(*reason, subject, description);
            details.set_precondition_failure(vec![violation]);
            (Code::FailedPrecondition, (*reason).to_owned())
        }
        Error::NeighborhoodDegenerate { .. } => (Code::FailedPrecondition, "NEIGHBORHOOD_DEGENERATE".to_owned()),
        Error::DistillationDiverged { .. } => (Code::FailedPrecondition, "DISTILLATION_DIVERGED".to_owned()),
        Error::QueueFull { engine, retry_after_ms } => {
            details.set_retry_info(Some(Duration::from_millis(*retry_after_ms)));
            told.push(("engine", engine.clone()));
            (Code::ResourceExhausted, "QUEUE_FULL".to_owned())
        }
        Error::ModelNotReady { model, description, operation, retry_after_ms } => {
            details.set_retry_info(Some(Duration::from_millis(*retry_after_ms)));
            told.extend([("model", model.clone()), ("description", description.clone())]);
            told.extend(operation.iter().map(|operation| ("operation", operation.clone())));
            (Code::Unavailable, "MODEL_NOT_READY".to_owned())
        }
        Error::UpstreamUnavailable { service } => {
            details.set_retry_info(Some(UNAVAILABLE_RETRY));
            told.push(("service", service.clone()));
            (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned())
        }
        Error::Cancelled => (Code::Cancelled, "CANCELLED".to_owned()),
        Error::DeadlineExceeded => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()),
        Error::Unexpected(_) => (Code::Internal, "UNEXPECTED_FAILURE".to_owned()),
    };
    let metadata: HashMap<String, String> = told.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    details.set_error_info(reason, DOMAIN, metadata);
    (code, details)
}

const NOT_FOUND: &str = "_NOT_FOUND";
const EXISTS: &str = "_EXISTS";

/// What a client makes of a failure: the very error that a service of ours answered with, or the
/// nearest one for a status that came from somewhere else, such as a broken connection.
pub fn to_error(status: &Status) -> Error {
    let details = status.get_error_details();
    let ours = details.error_info().filter(|info| info.domain == DOMAIN);
    ours.and_then(|info| {
            let metadata = |key: &str| info.metadata.get(key).cloned();
            from_reason(status, &info.reason, &details, metadata)
        })
        .unwrap_or_else(|| from_code(status, &details))
}

fn from_reason(
    status: &Status,
    reason: &str,
    details: &ErrorDetails,
    metadata: impl Fn(&str) -> Option<String>,
) -> Option<Error> {
    let retry_after_ms = || Some(details.retry_info()?.retry_delay?.as_millis() as u64);
    let description = || status.message().to_owned();
    Some(match (status.code(), reason) {
        (_, "INVALID_FIELDS") => invalid_fields(details)?,
        (_, "IMAGE_SHAPE_MISMATCH") => Error::ImageShapeMismatch {
            got: shape(&metadata("got")?)?,
            expected: shape(&metadata("expected")?)?,
        },
        (_, "NEIGHBORHOOD_DEGENERATE") => Error::NeighborhoodDegenerate { description: description() },
        (_, "DISTILLATION_DIVERGED") => Error::DistillationDiverged { description: description() },
        (_, "QUEUE_FULL") => Error::QueueFull { engine: metadata("engine")?, retry_after_ms: retry_after_ms()? },
        (_, "MODEL_NOT_READY") => Error::ModelNotReady {
            model: metadata("model")?,
            description: metadata("description")?,
            operation: metadata("operation"),
            retry_after_ms: retry_after_ms()?,
        },
        (_, "UPSTREAM_UNAVAILABLE") => Error::UpstreamUnavailable { service: metadata("service")? },
        (Code::NotFound, reason) => Error::NotFound {
            kind: stable(reason.strip_suffix(NOT_FOUND)?)?,
            resource: details.resource_info()?.resource_name.clone(),
        },
        (Code::AlreadyExists, reason) => Error::AlreadyExists {
            kind: stable(reason.strip_suffix(EXISTS)?)?,
            resource: details.resource_info()?.resource_name.clone(),
        },
        (Code::FailedPrecondition, reason) => {
            let violation = details.precondition_failure()?.violations.first()?;
            Error::FailedPrecondition {
                reason: stable(reason)?,
                subject: violation.subject.clone(),
                description: violation.description.clone(),
            }
        }
        _ => return None,
    })
}

/// For statuses without our details, and for those whose code says it all.
fn from_code(status: &Status, details: &ErrorDetails) -> Error {
    match status.code() {
        // tonic's own timer calls a deadline that passed a cancellation.
        Code::Cancelled if status.message() == "Timeout expired" => Error::DeadlineExceeded,
        Code::Cancelled => Error::Cancelled,
        Code::DeadlineExceeded => Error::DeadlineExceeded,
        Code::Unavailable => Error::UpstreamUnavailable { service: "remote".to_owned() },
        // The library's answer to a message beyond the size limit is OUT_OF_RANGE.
        Code::InvalidArgument | Code::OutOfRange => {
            invalid_fields(details).unwrap_or_else(|| Error::invalid("", shortened(status.message(), MAX_MESSAGE_BYTES)))
        }
        Code::ResourceExhausted => Error::QueueFull {
            engine: "remote service".to_owned(),
            retry_after_ms: details.retry_info().and_then(|info| info.retry_delay).map_or(1_000, |delay| {
                delay.as_millis() as u64
            }),
        },
        code => {
            let request_id = details.request_info().map(|info| format!(" (request {})", info.request_id));
            let message = shortened(status.message(), MAX_MESSAGE_BYTES);
            Error::Unexpected(format!("{code:?}: {message}{}", request_id.unwrap_or_default()))
        }
    }
}

fn field_violations(violations: &Violations) -> Vec<FieldViolation> {
    let mut room = MAX_VIOLATION_BYTES;
    let mut told = Vec::new();
    for violation in violations.iter() {
        let size = violation.field.len() + violation.description.len();
        let Some(left) = room.checked_sub(size) else {
            let untold = violations.iter().count() - told.len();
            told.push(FieldViolation::new("", format!("{untold} more fields are wrong")));
            break;
        };
        room = left;
        told.push(FieldViolation::new(&violation.field, &violation.description));
    }
    told
}

fn invalid_fields(details: &ErrorDetails) -> Option<Error> {
    let mut violations = Violations::default();
    for violation in &details.bad_request()?.field_violations {
        violations.add(&violation.field, &violation.description);
    }
    violations.finish().err()
}

fn shape_text(shape: ImageShape) -> String {
    format!("{}x{}x{}", shape.channels, shape.height, shape.width)
}

fn shape(text: &str) -> Option<ImageShape> {
    let mut sides = text.split('x').map(|side| side.parse().ok());
    let (channels, height, width) = (sides.next()??, sides.next()??, sides.next()??);
    ImageShape::new(channels, height, width).ok()
}

/// Cuts at a character's boundary.
fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// Kinds and reasons are `&'static str` in the domain, because our code chooses them; what a peer sends
/// is kept here for good, once a word. Bounded: beyond 256 words a stranger is talking, and the error
/// is read by its code alone.
fn stable(word: &str) -> Option<&'static str> {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let allowed = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    if word.is_empty() || word.len() > 63 || !word.bytes().all(allowed) {
        return None;
    }
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return Some(known);
    }
    (words.len() < 256).then(|| {
        let word: &'static str = Box::leak(word.to_owned().into_boxed_str());
        words.insert(word);
        word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: Error, code: Code, reason: &str) {
        let status = from_error(error.clone());
        assert_eq!(status.code(), code);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, DOMAIN));
        assert_eq!(to_error(&status), error);
    }

    #[test]
    fn a_client_gets_the_error_that_the_service_had() {
        let mut violations = Violations::default();
        violations.add("neighborhood.radius", "7 is not above 0 and at most 5");
        violations.add("teacher", "is required");
        check(Error::InvalidFields(violations), Code::InvalidArgument, "INVALID_FIELDS");
        let (got, expected) = (ImageShape::gray(32, 30), ImageShape::gray(28, 28));
        check(Error::ImageShapeMismatch { got, expected }, Code::InvalidArgument, "IMAGE_SHAPE_MISMATCH");
        let resource = "teachers/none".to_owned();
        let not_found = Error::NotFound { kind: "TEACHER", resource: resource.clone() };
        check(not_found, Code::NotFound, "TEACHER_NOT_FOUND");
        check(Error::AlreadyExists { kind: "TEACHER", resource }, Code::AlreadyExists, "TEACHER_EXISTS");
        let failed = Error::FailedPrecondition {
            reason: "OPERATION_RUNNING",
            subject: "operations/1".into(),
            description: "cancel it first".into(),
        };
        check(failed, Code::FailedPrecondition, "OPERATION_RUNNING");
        let description = "all neighbors are the same image; widen the radius".to_owned();
        let degenerate = Error::NeighborhoodDegenerate { description: description.clone() };
        check(degenerate, Code::FailedPrecondition, "NEIGHBORHOOD_DEGENERATE");
        check(Error::DistillationDiverged { description }, Code::FailedPrecondition, "DISTILLATION_DIVERGED");
        let full = Error::QueueFull { engine: "teacher".into(), retry_after_ms: 1_250 };
        check(full, Code::ResourceExhausted, "QUEUE_FULL");
        for operation in [None, Some("operations/1".to_owned())] {
            let model = "teachers/resnet50".to_owned();
            let description = "it is training".to_owned();
            let error = Error::ModelNotReady { model, description, operation, retry_after_ms: 5_000 };
            check(error, Code::Unavailable, "MODEL_NOT_READY");
        }
        check(Error::UpstreamUnavailable { service: "vae".into() }, Code::Unavailable, "UPSTREAM_UNAVAILABLE");
        check(Error::Cancelled, Code::Cancelled, "CANCELLED");
        check(Error::DeadlineExceeded, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }

    #[test]
    fn the_cause_of_an_unexpected_failure_stays_behind_and_its_request_id_goes_along() {
        let status = with_request_id(Error::unexpected("/secret/path is gone"), "4711");
        let wire = format!("{} {:?}", status.message(), status.details());
        assert!(!wire.contains("secret") && !String::from_utf8_lossy(status.details()).contains("secret"));
        assert_eq!(status.get_details_request_info().unwrap().request_id, "4711");
        let Error::Unexpected(told) = to_error(&status) else { panic!("not unexpected") };
        assert!(told.contains("request 4711"), "{told}");
    }

    #[test]
    fn statuses_from_elsewhere_become_the_nearest_error() {
        let cases = [
            (Code::Unavailable, Error::UpstreamUnavailable { service: "remote".into() }),
            (Code::Cancelled, Error::Cancelled),
            (Code::DeadlineExceeded, Error::DeadlineExceeded),
            (Code::InvalidArgument, Error::invalid("", "told")),
            (Code::OutOfRange, Error::invalid("", "told")),
            (Code::ResourceExhausted, Error::QueueFull { engine: "remote service".into(), retry_after_ms: 1_000 }),
            (Code::Internal, Error::unexpected("Internal: told")),
            (Code::Unknown, Error::unexpected("Unknown: told")),
        ];
        for (code, expected) in cases {
            assert_eq!(to_error(&Status::new(code, "told")), expected);
            let completed = complete(Status::new(code, "told"));
            assert_eq!((completed.code(), to_error(&completed)), (code, expected));
            assert_eq!(completed.get_details_error_info().unwrap().domain, DOMAIN);
        }
        assert_eq!(to_error(&Status::cancelled("Timeout expired")), Error::DeadlineExceeded);
    }

    #[test]
    fn details_that_lie_are_read_by_the_code() {
        let mut details = ErrorDetails::new();
        details.set_error_info("QUEUE_FULL", DOMAIN, HashMap::new());
        let status = Status::with_error_details(Code::Internal, "told", details);
        assert_eq!(to_error(&status), Error::unexpected("Internal: told"));
        let garbage = Status::with_details(Code::Internal, "told", vec![0xff; 9].into());
        assert_eq!(to_error(&garbage), Error::unexpected("Internal: told"));
    }

    #[test]
    fn many_wrong_fields_fit_into_the_trailers() {
        let mut violations = Violations::default();
        for i in 0..10_000 {
            violations.add(format!("ranges[{i}]"), "dimension 99 is not below 10");
        }
        let status = from_error(Error::InvalidFields(violations));
        let mut trailers = tonic::metadata::MetadataMap::new().into_headers();
        status.add_header(&mut trailers).unwrap();
        let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        assert!(bytes < 16 * 1_024, "{bytes}");
        assert!(to_error(&status).to_string().contains("more fields are wrong"));
    }
}
