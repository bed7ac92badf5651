//! Errors that are kept rather than answered, in operations and explanations: `google.rpc.Status` with the
//! same details as the call would have had.

use domain::Error;
use prost::Message;
use tonic::{Code, Status};

use crate::{raw::google::rpc, status};

/// An error as a message. What a status carries in its details is this very message.
pub fn rpc_from_error(error: Error) -> rpc::Status {
    let status = status::from_error(error);
    let decoded = rpc::Status::decode(status.details()).unwrap_or_default();
    rpc::Status { code: status.code().into(), message: status.message().to_owned(), details: decoded.details }
}

/// The error that a message was made from.
pub fn error_from_rpc(message: rpc::Status) -> Error {
    let code = Code::from_i32(message.code);
    let text = message.message.clone();
    let status = Status::with_details(code, text, message.encode_to_vec().into());
    status::to_error(&status)
}
