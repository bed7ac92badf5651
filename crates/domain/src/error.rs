//! The closed set of ways in which a request can fail. `proto::status` is the one place that turns
//! them into gRPC statuses; nothing here knows the wire.

use std::fmt;

use crate::image::ImageShape;

/// Shorthand for results of this workspace's cores.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done. Three kinds of reader: the caller (wrong or too early), the
/// operator (a peer is gone, a queue is full), and us (`Unexpected`).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The caller can fix it: every wrong field at once.
    #[error("{0}")]
    InvalidFields(Violations),
    /// The caller can fix it: another image, or another model.
    #[error("image is {got}, the model expects {expected}")]
    ImageShapeMismatch {
        /// What came.
        got: ImageShape,
        /// What the model was trained on.
        expected: ImageShape,
    },
    /// The caller can fix it: the name is wrong, or the resource was deleted.
    #[error("{resource} was not found")]
    NotFound {
        /// Singular noun in SCREAMING_SNAKE_CASE, the prefix of the reason: `TEACHER`, `EXPLANATION`.
        kind: &'static str,
        /// The full resource name that was asked for.
        resource: String,
    },
    /// The caller can fix it: choose another id.
    #[error("{resource} exists already")]
    AlreadyExists {
        /// As in [`Error::NotFound`].
        kind: &'static str,
        /// The full resource name that is taken.
        resource: String,
    },
    /// The caller can fix it by doing something else first, such as waiting for a training.
    #[error("{description}")]
    FailedPrecondition {
        /// SCREAMING_SNAKE_CASE, stable.
        reason: &'static str,
        /// The resource that is not in the needed state.
        subject: String,
        /// What is wrong and what to do, one sentence.
        description: String,
    },
    /// The caller can fix it: a larger radius or wider ranges. All neighbors came out identical.
    #[error("{description}")]
    NeighborhoodDegenerate {
        /// What was seen and what to change, one sentence.
        description: String,
    },
    /// The caller can fix it: a smaller learning rate or a larger L2 penalty.
    #[error("{description}")]
    DistillationDiverged {
        /// What was seen and what to change, one sentence.
        description: String,
    },
    /// The caller can fix it: by asking under another name, or asking the owner.
    #[error("{description}")]
    PermissionDenied {
        /// SCREAMING_SNAKE_CASE, stable.
        reason: &'static str,
        /// The resource that is somebody else's, or the header that was not accepted.
        subject: String,
        /// What is not allowed and who may, one sentence.
        description: String,
    },
    /// The caller can fix it: the key is not one of those that are known.
    #[error("the API key is not known")]
    Unauthenticated,
    /// Time fixes it, or the caller by ending something: so many of these are under way for one creator.
    #[error("{creator} has {limit} {what} under way, which is the limit for one creator")]
    QuotaExceeded {
        /// Whose share is used up.
        creator: String,
        /// `explanations`, `trainings`.
        what: String,
        /// How many there may be.
        limit: u32,
        /// When to come back.
        retry_after_ms: u64,
    },
    /// Time fixes it: the queue of this engine is full.
    #[error("the queue of {engine} is full")]
    QueueFull {
        /// Which engine.
        engine: String,
        /// When to come back.
        retry_after_ms: u64,
    },
    /// Time fixes it: the model is missing, training or warming up.
    #[error("{model} is not ready: {description}")]
    ModelNotReady {
        /// The full resource name of the model.
        model: String,
        /// What it is doing instead.
        description: String,
        /// The operation that makes it ready, where one is known.
        operation: Option<String>,
        /// When to come back.
        retry_after_ms: u64,
    },
    /// The operator can fix it: a service did not answer.
    #[error("the {service} service cannot be reached")]
    UpstreamUnavailable {
        /// `teacher`, `vae`, `student`, `artifact store`.
        service: String,
    },
    /// The caller left, or the operation was cancelled.
    #[error("the call was cancelled")]
    Cancelled,
    /// The caller's time ran out.
    #[error("the deadline passed before the work was done")]
    DeadlineExceeded,
    /// Our bug. The text is for the log and never crosses the wire.
    #[error("unexpected failure: {0}")]
    Unexpected(String),
}

impl Error {
    /// One wrong field.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(field, description);
        Self::InvalidFields(violations)
    }

    /// Our bug, with its cause for the log.
    pub fn unexpected(cause: impl fmt::Display) -> Self {
        Self::Unexpected(cause.to_string())
    }
}

/// One wrong field and what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path in the request, dotted: `neighborhood.radius`.
    pub field: String,
    /// What was wrong and what is allowed, lower case, no full stop.
    pub description: String,
}

/// Collects every wrong field, so that a caller learns of all of them in one answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// Notes one wrong field.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(FieldViolation { field: field.into(), description: description.into() });
    }

    /// Notes a wrong field unless `holds`.
    pub fn check(&mut self, holds: bool, field: &str, description: impl FnOnce() -> String) {
        if !holds {
            self.add(field, description());
        }
    }

    /// Takes a value or notes why it could not be made. Violations keep their own paths under `field`.
    pub fn take<T>(&mut self, field: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Error::InvalidFields(inner)) => {
                for violation in inner.0 {
                    let path = match (field.is_empty(), violation.field.is_empty()) {
                        (true, _) => violation.field,
                        (false, true) => field.to_owned(),
                        (false, false) => format!("{field}.{}", violation.field),
                    };
                    self.add(path, violation.description);
                }
                None
            }
            Err(other) => {
                self.add(field, other.to_string());
                None
            }
        }
    }

    /// `Ok` when nothing was noted.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::InvalidFields(self)) }
    }

    /// The violations in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &FieldViolation> {
        self.0.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_is_reported_with_its_path() {
        let mut violations = Violations::default();
        violations.take::<()>("neighborhood", Err(Error::invalid("radius", "must be above 0")));
        violations.add("teacher", "is required");
        let error = violations.finish().unwrap_err();
        assert_eq!(error.to_string(), "neighborhood.radius: must be above 0; teacher: is required");
    }
}
