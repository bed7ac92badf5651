//! The catalog's half of the public face, over a pipe, with model services that the test plays.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod activity;
mod callers;
mod reading;
mod replicas;
mod training;
mod world;

use domain::Error;
use tonic::Status;

/// Fields that were named as wrong, in order.
fn wrong_fields(status: &Status) -> Vec<String> {
    match proto::status::to_error(status) {
        Error::InvalidFields(violations) => violations.iter().map(|violation| violation.field.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

/// The reason of `ErrorInfo`.
fn reason(status: &Status) -> String {
    use tonic_types::StatusExt;
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
