//! From a core's error to the wire, with the cause of an unexpected one in the log and a request id in
//! both places, so that a caller's report leads to the log line.

use domain::Error;
use tonic::Status;
use uuid::Uuid;

/// What a face answers with: `.map_err(status::from_error)?`. Logs an `Unexpected` error once, under
/// a fresh request id that the caller gets too; every other error passes as it is.
pub fn from_error(error: Error) -> Status {
    if let Error::Unexpected(cause) = &error {
        let request_id = Uuid::new_v4().simple().to_string();
        tracing::error!(request.id = request_id, error.cause = cause, "unexpected failure");
        return proto::status::with_request_id(error, &request_id);
    }
    proto::status::from_error(error)
}
