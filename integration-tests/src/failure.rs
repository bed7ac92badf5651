//! A failed call as its caller reads it: code, reason, and every wrong field.

use domain::Error;
use proto::raw::google::rpc;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// What a status says to a program.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The canonical code.
    pub code: Code,
    /// `ErrorInfo.reason`; empty without one.
    pub reason: String,
    /// For people.
    pub message: String,
    /// `BadRequest`'s fields, in order.
    pub fields: Vec<String>,
    /// Everything.
    pub details: ErrorDetails,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let violations = details.bad_request().map(|request| request.field_violations.as_slice()).unwrap_or_default();
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
            fields: violations.iter().map(|violation| violation.field.clone()).collect(),
            details: details.clone(),
        }
    }
}

impl From<rpc::Status> for Failure {
    /// Of an operation or an explanation that failed.
    fn from(status: rpc::Status) -> Self {
        let error: Error = proto::rpc::error_from_rpc(status);
        Self::from(proto::status::from_error(error))
    }
}

impl Failure {
    /// Of a call that should have failed.
    ///
    /// # Panics
    /// When it did not.
    pub fn of<T: std::fmt::Debug>(answer: Result<T, Status>) -> Self {
        answer.expect_err("the call should have failed").into()
    }

    /// What is said of a wrong field.
    ///
    /// # Panics
    /// When nothing is.
    #[track_caller]
    pub fn description(&self, field: &str) -> &str {
        let violations = self.details.bad_request().map(|request| request.field_violations.as_slice());
        let found = violations.unwrap_or_default().iter().find(|violation| violation.field == field);
        found.map(|violation| violation.description.as_str()).unwrap_or_else(|| panic!("{field} is missing: {self:?}"))
    }

    /// Asserts code and reason.
    ///
    /// # Panics
    /// When they differ.
    #[track_caller]
    pub fn expect(&self, code: Code, reason: &str) -> &Self {
        assert_eq!((self.code, self.reason.as_str()), (code, reason), "{self:?}");
        let domain = self.details.error_info().map(|info| info.domain.as_str());
        assert_eq!(domain, Some(proto::status::DOMAIN));
        self
    }

    /// Asserts that exactly these fields are wrong.
    ///
    /// # Panics
    /// When they differ.
    #[track_caller]
    pub fn expect_fields(&self, fields: &[&str]) -> &Self {
        self.expect(Code::InvalidArgument, "INVALID_FIELDS");
        assert_eq!(self.fields, fields, "{self:?}");
        self
    }
}
