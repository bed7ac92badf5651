//! Statuses that the gRPC library made by itself, before or beside any code of ours: a message it could not
//! read, a method it does not have. They get our codes, our words and the details of every other failure.

use domain::Error;
use tonic::{Code, Status};

use super::{MAX_MESSAGE_BYTES, detailed, from_error, shortened};

/// The library's own limit, where it does not say another one.
const DEFAULT_LIMIT_BYTES: u64 = 4 * 1_024 * 1_024;
/// What of a method's name, which a stranger made up, is answered.
const MAX_METHOD_BYTES: usize = 200;

/// A status of the head of an answer, with details and in our words if the library made it. `method` is
/// what was called: `deeper.catalog.v1.CatalogService/GetTeacher`.
pub fn complete(status: Status, method: &str) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    match status.code() {
        Code::Internal | Code::Unknown | Code::OutOfRange => from_error(request_error(&status)),
        Code::Unimplemented if status.message().is_empty() => {
            let method = shortened(method, MAX_METHOD_BYTES);
            let message = format!("this server has no method {method}; its reflection service lists those it has");
            detailed(Code::Unimplemented, message, "METHOD_UNKNOWN")
        }
        Code::Unimplemented => {
            let message = format!("{}; send it uncompressed", shortened(status.message(), MAX_MESSAGE_BYTES));
            detailed(Code::Unimplemented, message, "ENCODING_UNSUPPORTED")
        }
        code => detailed(code, status.message().to_owned(), reason(code)),
    }
}

/// Why a message of a caller could not be taken. The library calls both kinds a failure of the server's; they
/// are the caller's. For heads of answers and for streams of requests.
pub fn request_error(status: &Status) -> Error {
    if let Some(limit_bytes) = size_limit(status) {
        return Error::MessageTooLarge { limit_bytes };
    }
    let told = status.message();
    let description = if let Some(why) = told.strip_prefix("failed to decode Protobuf message: ") {
        format!("the message is not what the proto file of this method describes: {}", shortened(why, 200))
    } else if told == "Missing request message." {
        "the call came without its message".to_owned()
    } else if told.contains("compressed-flag") {
        "the message is marked as compressed, but no grpc-encoding is named; send it uncompressed".to_owned()
    } else if told.contains("compression flag") {
        "the message does not begin with a gRPC frame: its first byte is neither 0 nor 1".to_owned()
    } else if told.contains("Unexpected EOF") {
        "the message is shorter than its gRPC frame says".to_owned()
    } else if told.strip_prefix("tonic-web: ").is_some_and(|why| why.starts_with("Invalid ") || why.contains("base64"))
    {
        "the message is not the base64 that application/grpc-web-text promises".to_owned()
    } else {
        "the message could not be read to its end".to_owned()
    };
    Error::MalformedRequest { description }
}

/// The limit that a message was beyond, in either direction. The library answers OUT_OF_RANGE, and says how
/// large the message and how large the limit is.
pub(super) fn size_limit(status: &Status) -> Option<u64> {
    (status.code() == Code::OutOfRange && status.message().contains("message length too large")).then(|| {
        let limit = status.message().rsplit_once("the limit is: ").map(|(_, limit)| limit);
        let digits = limit.and_then(|limit| limit.split(' ').next());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(DEFAULT_LIMIT_BYTES)
    })
}

fn reason(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Cancelled => "CANCELLED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Unavailable => "UNAVAILABLE",
        Code::NotFound => "NOT_FOUND",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        _ => "UNEXPECTED_FAILURE",
    }
}
