//! From a status back to the error it was made of. What comes in is a peer's word: nothing in it is
//! trusted to be complete.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use domain::{Error, ImageShape, Violations};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{DOMAIN, EXISTS, MAX_MESSAGE_BYTES, NOT_FOUND, foreign::size_limit, shortened};

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
        (_, "IMAGE_SHAPE_MISMATCH") => {
            let field = details.bad_request().and_then(|request| request.field_violations.first());
            Error::ImageShapeMismatch {
                field: field.map(|violation| violation.field.clone()).unwrap_or_default(),
                got: shape(&metadata("got")?)?,
                expected: shape(&metadata("expected")?)?,
            }
        }
        (_, "MALFORMED_REQUEST") => Error::MalformedRequest { description: description() },
        (_, "MESSAGE_TOO_LARGE") => Error::MessageTooLarge { limit_bytes: metadata("limit_bytes")?.parse().ok()? },
        (_, "HOST_NOT_ALLOWED") => Error::HostNotAllowed { host: metadata("host")? },
        (_, "NEIGHBORHOOD_DEGENERATE") => Error::NeighborhoodDegenerate { description: description() },
        (_, "DISTILLATION_DIVERGED") => Error::DistillationDiverged { description: description() },
        (Code::Unauthenticated, _) => Error::Unauthenticated,
        (Code::PermissionDenied, reason) => Error::PermissionDenied {
            reason: stable(reason)?,
            subject: details.resource_info()?.resource_name.clone(),
            description: description(),
        },
        (_, "QUOTA_EXCEEDED") => Error::QuotaExceeded {
            creator: metadata("creator")?,
            what: metadata("what")?,
            limit: metadata("limit")?.parse().ok()?,
            retry_after_ms: retry_after_ms()?,
        },
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
    // Only a status that this end made up has a source: nothing of the kind came over the wire.
    let is_transport = std::error::Error::source(status).is_some();
    match status.code() {
        // tonic's own timer calls a deadline that passed a cancellation.
        Code::Cancelled if status.message() == "Timeout expired" => Error::DeadlineExceeded,
        Code::Unknown | Code::Internal | Code::Cancelled if is_transport => {
            Error::UpstreamUnavailable { service: "remote".to_owned() }
        }
        Code::Cancelled => Error::Cancelled,
        Code::DeadlineExceeded => Error::DeadlineExceeded,
        Code::Unauthenticated => Error::Unauthenticated,
        Code::Unavailable => Error::UpstreamUnavailable { service: "remote".to_owned() },
        // This end's library, about an answer or a request that is beyond its limit.
        Code::OutOfRange if size_limit(status).is_some() => {
            Error::MessageTooLarge { limit_bytes: size_limit(status).unwrap_or_default() }
        }
        Code::InvalidArgument | Code::OutOfRange => invalid_fields(details)
            .unwrap_or_else(|| Error::invalid("", shortened(status.message(), MAX_MESSAGE_BYTES))),
        Code::ResourceExhausted => Error::QueueFull {
            engine: "remote service".to_owned(),
            retry_after_ms: details
                .retry_info()
                .and_then(|info| info.retry_delay)
                .map_or(1_000, |delay| delay.as_millis() as u64),
        },
        code => {
            let request_id = details.request_info().map(|info| format!(" (request {})", info.request_id));
            let message = shortened(status.message(), MAX_MESSAGE_BYTES);
            Error::Unexpected(format!("{code:?}: {message}{}", request_id.unwrap_or_default()))
        }
    }
}

fn invalid_fields(details: &ErrorDetails) -> Option<Error> {
    let mut violations = Violations::default();
    for violation in &details.bad_request()?.field_violations {
        violations.add(&violation.field, &violation.description);
    }
    violations.finish().err()
}

fn shape(text: &str) -> Option<ImageShape> {
    let mut sides = text.split('x').map(|side| side.parse().ok());
    let (channels, height, width) = (sides.next()??, sides.next()??, sides.next()??);
    ImageShape::new(channels, height, width).ok()
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
