//! `domain::Error` to `tonic::Status` and back: the only such mapping in the workspace (AIP-193).
//! Pure and free of transport, so that servers, clients and the page read failures the same way.

mod foreign;
mod read;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, time::Duration};

use domain::{Error, ImageShape, Violations};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt};

pub use self::{
    foreign::{complete, request_error},
    read::to_error,
};

/// `ErrorInfo.domain` of every failure that our services speak of.
pub const DOMAIN: &str = "deeper.dev";

/// When to come back to a service that was not there.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);
/// Details and message travel together in HTTP/2 trailers, of which gRPC's C core, under Python and many
/// others, accepts 8 KiB. There the details are in base64 (4/3), hold the message a second time, and the
/// message's own copy is percent-encoded (up to 3 bytes for one).
const MAX_VIOLATION_BYTES: usize = 3 * 1_024;
const MAX_MESSAGE_BYTES: usize = 512;
const MAX_FIELD_BYTES: usize = 256;
/// Names and values beside the message: far above what ours are.
const MAX_WORD_BYTES: usize = 512;
/// What a violation takes on the wire beside its texts.
const VIOLATION_OVERHEAD_BYTES: usize = 12;

/// What goes over the wire. The text of an `Unexpected` error stays behind: whoever calls this for
/// one has logged it (`runtime::status::from_error` does both).
pub fn from_error(error: Error) -> Status {
    let (code, details) = describe(&error);
    let message = match &error {
        Error::Unexpected(_) => "something failed on our side; the log has the cause".to_owned(),
        Error::InvalidFields(violations) => summary(violations),
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

/// A failure that no error of the domain stands for, with nothing but its reason.
fn detailed(code: Code, message: String, reason: &str) -> Status {
    Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new()))
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
        Error::ImageShapeMismatch { field, got, expected } => {
            let violation = FieldViolation::new(shortened(field, MAX_FIELD_BYTES), error.to_string());
            details.set_bad_request(vec![violation]);
            told.extend([("got", shape_text(*got)), ("expected", shape_text(*expected))]);
            (Code::InvalidArgument, "IMAGE_SHAPE_MISMATCH".to_owned())
        }
        Error::MalformedRequest { .. } => (Code::InvalidArgument, "MALFORMED_REQUEST".to_owned()),
        Error::MessageTooLarge { limit_bytes } => {
            told.push(("limit_bytes", limit_bytes.to_string()));
            (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned())
        }
        Error::HostNotAllowed { host } => {
            told.push(("host", host.clone()));
            (Code::PermissionDenied, "HOST_NOT_ALLOWED".to_owned())
        }
        Error::NotFound { kind, resource } => {
            details.set_resource_info(*kind, word(resource), "", "was not found");
            (Code::NotFound, format!("{kind}{NOT_FOUND}"))
        }
        Error::AlreadyExists { kind, resource } => {
            details.set_resource_info(*kind, word(resource), "", "exists already");
            (Code::AlreadyExists, format!("{kind}{EXISTS}"))
        }
        Error::FailedPrecondition { reason, subject, description } => {
            let violation =
                PreconditionViolation::new(*reason, word(subject), shortened(description, MAX_MESSAGE_BYTES));
            details.set_precondition_failure(vec![violation]);
            (Code::FailedPrecondition, (*reason).to_owned())
        }
        Error::NeighborhoodDegenerate { .. } => (Code::FailedPrecondition, "NEIGHBORHOOD_DEGENERATE".to_owned()),
        Error::DistillationDiverged { .. } => (Code::FailedPrecondition, "DISTILLATION_DIVERGED".to_owned()),
        Error::PermissionDenied { reason, subject, description } => {
            details.set_resource_info("", subject, "", description);
            (Code::PermissionDenied, (*reason).to_owned())
        }
        Error::Unauthenticated => (Code::Unauthenticated, "API_KEY_UNKNOWN".to_owned()),
        Error::QuotaExceeded { creator, what, limit, retry_after_ms } => {
            details.set_retry_info(Some(Duration::from_millis(*retry_after_ms)));
            details.set_quota_failure(vec![QuotaViolation::new(format!("users/{creator}"), error.to_string())]);
            told.extend([("creator", creator.clone()), ("what", what.clone()), ("limit", limit.to_string())]);
            (Code::ResourceExhausted, "QUOTA_EXCEEDED".to_owned())
        }
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
    let metadata: HashMap<String, String> =
        told.into_iter().map(|(key, value)| (key.to_owned(), word(&value))).collect();
    details.set_error_info(reason, DOMAIN, metadata);
    (code, details)
}

const NOT_FOUND: &str = "_NOT_FOUND";
const EXISTS: &str = "_EXISTS";

/// As many violations as there is room for; the last one says how many there are more.
fn field_violations(violations: &Violations) -> Vec<FieldViolation> {
    let mut room = MAX_VIOLATION_BYTES;
    let mut told = Vec::new();
    for violation in violations.iter() {
        let field = shortened(&violation.field, MAX_FIELD_BYTES);
        let description = shortened(&violation.description, MAX_MESSAGE_BYTES);
        let size = field.len() + description.len() + VIOLATION_OVERHEAD_BYTES;
        let Some(left) = room.checked_sub(size) else {
            let untold = violations.iter().count() - told.len();
            told.push(FieldViolation::new("", format!("and {untold} more")));
            break;
        };
        room = left;
        told.push(FieldViolation::new(field, description));
    }
    told
}

/// Violations in one sentence: whole ones as long as there is room, and how many there are more.
fn summary(violations: &Violations) -> String {
    let count = violations.iter().count();
    let mut text = String::new();
    for (told, violation) in violations.iter().enumerate() {
        let separator = if told == 0 { "" } else { "; " };
        let next = format!("{separator}{}: {}", violation.field, violation.description);
        if told > 0 && text.len() + next.len() > MAX_MESSAGE_BYTES {
            text.push_str(&format!("; and {} more", count - told));
            break;
        }
        text.push_str(&shortened(&next, MAX_MESSAGE_BYTES));
    }
    text
}

fn word(text: &str) -> String {
    shortened(text, MAX_WORD_BYTES)
}

fn shape_text(shape: ImageShape) -> String {
    format!("{}x{}x{}", shape.channels, shape.height, shape.width)
}

/// Cuts at a character's boundary.
fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
