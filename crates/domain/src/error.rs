//! The closed set of ways in which a request can fail. `proto::status` is the one place that turns
//! them into gRPC statuses; nothing here knows the wire.

use std::fmt;

use crate::{image::ImageShape, name::ResourceName};

/// When to ask again for a model that cannot answer yet, in milliseconds.
const MODEL_RETRY_AFTER_MS: u64 = 2_000;

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
        /// Path in the request, dotted: `instance.image.pixels`; empty where the image is all there is.
        field: String,
        /// What came.
        got: ImageShape,
        /// What the model was trained on.
        expected: ImageShape,
    },
    /// The caller can fix it: its program does not speak as the proto files say.
    #[error("{description}")]
    MalformedRequest {
        /// What could not be read, one sentence.
        description: String,
    },
    /// The caller can fix it: send less at once.
    #[error("the message is larger than {limit_bytes} bytes, which is the limit of this call")]
    MessageTooLarge {
        /// Largest message that is read.
        limit_bytes: u64,
    },
    /// The operator can fix it: the server was asked under a name that is not its own.
    #[error("this server does not answer to the host {host:?}; its operator can allow it (DEEPER_ALLOWED_HOSTS)")]
    HostNotAllowed {
        /// As the request says it; empty: it names none.
        host: String,
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

    /// A model that cannot answer yet: what it is doing instead, and the operation that makes it ready, where
    /// one is known. Worth another try after two seconds.
    pub fn model_not_ready(model: &ResourceName, description: impl Into<String>, operation: Option<&str>) -> Self {
        Self::ModelNotReady {
            model: model.to_string(),
            description: description.into(),
            operation: operation.map(str::to_owned),
            retry_after_ms: MODEL_RETRY_AFTER_MS,
        }
    }

    /// Neighbors that are all one and the same image. Whoever sees it first, a fit to the first of them or
    /// the check of them all, says so in the same words.
    pub fn neighborhood_degenerate() -> Self {
        let description = "all neighbors came out identical; choose a larger radius or wider ranges".to_owned();
        Self::NeighborhoodDegenerate { description }
    }

    /// An image of another shape than the model reads, where the image is all there is.
    pub fn image_shape(got: ImageShape, expected: ImageShape) -> Self {
        Self::ImageShapeMismatch { field: String::new(), got, expected }
    }

    /// The same error about a part of a request: wrong fields and a wrong shape keep their paths under `field`.
    #[must_use]
    pub fn under(self, field: &str) -> Self {
        match self {
            Self::InvalidFields(inner) => {
                let mut violations = Violations::default();
                violations.extend(field, inner);
                Self::InvalidFields(violations)
            }
            Self::ImageShapeMismatch { field: inner, got, expected } => {
                Self::ImageShapeMismatch { field: path(field, inner), got, expected }
            }
            other => other,
        }
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
                self.extend(field, inner);
                None
            }
            Err(Error::ImageShapeMismatch { field: inner, got, expected }) => {
                let described = Error::image_shape(got, expected).to_string();
                self.add(path(field, inner), described);
                None
            }
            Err(other) => {
                self.add(field, other.to_string());
                None
            }
        }
    }

    /// Takes over all of `inner`, with their paths under `field`.
    fn extend(&mut self, field: &str, inner: Self) {
        for violation in inner.0 {
            self.add(path(field, violation.field), violation.description);
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

/// The path of `inner` in what holds `field`. Either may be empty.
fn path(field: &str, inner: String) -> String {
    match (field.is_empty(), inner.is_empty()) {
        (true, _) => inner,
        (false, true) => field.to_owned(),
        (false, false) => format!("{field}.{inner}"),
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

    #[test]
    fn a_wrong_shape_is_told_with_its_path_alone_and_among_others() {
        let (got, expected) = (ImageShape::gray(3, 5), ImageShape::gray(28, 28));
        let error = Error::image_shape(got, expected).under("pixels").under("image");
        assert_eq!(error, Error::ImageShapeMismatch { field: "image.pixels".into(), got, expected });
        let mut violations = Violations::default();
        violations.take::<()>("instance", Err(error));
        let told = violations.iter().next().unwrap();
        assert_eq!(told.field, "instance.image.pixels");
        assert_eq!(told.description, "image is 1×3×5, the model expects 1×28×28");
    }
}
