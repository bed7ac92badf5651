//! What went wrong, in words for the person at the screen: what happened and what to do.

use domain::Error;
use yew::AttrValue;

use super::{format::duration, notice::Tone};

/// What the page calls the server it came from, where a service is named.
pub const SERVER: &str = "Deeper";

/// A failure as the page shows it. Never an exception's text, never an apology.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What happened, one sentence.
    pub what: AttrValue,
    /// What to do about it, one sentence.
    pub remedy: AttrValue,
    /// Whether the same request may succeed later.
    pub can_retry: bool,
    /// How serious it is: what a person stopped is no failure.
    pub tone: Tone,
}

impl Problem {
    /// Takes the two sentences.
    pub fn new(what: impl Into<AttrValue>, remedy: impl Into<AttrValue>, can_retry: bool) -> Self {
        Self { what: what.into(), remedy: remedy.into(), can_retry, tone: Tone::Bad }
    }

    /// Reads a typed error. What is inside `Unexpected` stays out of sight.
    pub fn from_error(error: &Error) -> Self {
        match error {
            Error::InvalidFields(violations) => {
                Self::new("Some values were not accepted.", sentence(&violations.to_string()), false)
            }
            Error::ImageShapeMismatch { got, expected, .. } => Self::new(
                format!("The image is {got}, the model reads {expected}."),
                "Use an image of that size, or draw one.",
                false,
            ),
            Error::MalformedRequest { .. } => Self::new(
                "The server could not read what this page sent.",
                "Reload the page: it may be an old one.",
                false,
            ),
            Error::MessageTooLarge { limit_bytes } => Self::new(
                format!("That is more than the server takes at once ({} MB).", limit_bytes / 1_000_000),
                "Use a smaller image.",
                false,
            ),
            Error::HostNotAllowed { host } => Self::new(
                format!("The server does not answer to the name {host}."),
                "Open this page as localhost, or have that name allowed (DEEPER_ALLOWED_HOSTS).",
                false,
            ),
            Error::NotFound { kind, resource } => {
                let id = resource.rsplit('/').next().unwrap_or_default();
                let what = format!("There is no {} {id}.", kind.to_lowercase().replace('_', " "));
                let remedy = match *kind {
                    "EXAMPLE" => "Choose another image.",
                    "TEACHER" | "AUTOENCODER" => "Choose another model by its name at the top.",
                    _ => "Generate again.",
                };
                Self::new(what, remedy, false)
            }
            Error::AlreadyExists { resource, .. } => {
                Self::new(format!("{resource} exists already."), "Choose another name.", false)
            }
            Error::FailedPrecondition { description, .. } => {
                Self::new(sentence(description), "Do that first, then try again.", true)
            }
            Error::NeighborhoodDegenerate { description } => Self::new(
                format!("The neighbors are all alike: {description}."),
                "Widen the radius or a band, then generate again.",
                false,
            ),
            Error::DistillationDiverged { description } => Self::new(
                format!("The student did not settle: {description}."),
                "Use a smaller learning rate or a larger L2 penalty.",
                false,
            ),
            Error::PermissionDenied { reason: "NOT_THE_CREATOR", .. } => Self::new(
                "This is not yours to change.",
                "Ask whoever made it, or an administrator, or make one of your own.",
                false,
            ),
            Error::PermissionDenied { reason: "GATEWAY_NOT_TRUSTED", .. } => Self::new(
                "The server does not trust who told it your name.",
                "Open this page at its usual address; if it is, whoever runs the server can help.",
                false,
            ),
            Error::PermissionDenied { description, .. } => {
                Self::new("The server does not allow this.", sentence(description), false)
            }
            Error::Unauthenticated => {
                Self::new("The server does not know this key.", "Sign in again, or ask for another key.", false)
            }
            Error::QuotaExceeded { limit, what, .. } => Self::new(
                format!("You have {limit} {what} under way, as many as one person may."),
                "Wait for one to end, or stop one.",
                true,
            ),
            Error::QueueFull { retry_after_ms, .. } => Self::new(
                "Every place is taken at the moment.",
                format!("Try again in {}.", duration(retry_after_ms.div_ceil(1_000) as f64)),
                true,
            ),
            Error::ModelNotReady { description, .. } => {
                Self::new(format!("A model is not ready: {description}."), "It starts by itself; try again soon.", true)
            }
            Error::UpstreamUnavailable { service } if service == SERVER => {
                Self::new("The server cannot be reached.", "The page goes on as soon as it answers again.", true)
            }
            Error::UpstreamUnavailable { service } => {
                Self::new(format!("The {service} service did not answer."), "See that it runs, then try again.", true)
            }
            Error::Cancelled => {
                Self { tone: Tone::Info, ..Self::new("This was stopped.", "Start it again when you like.", true) }
            }
            Error::DeadlineExceeded => {
                Self::new("This took longer than allowed.", "Ask for fewer neighbors, or try again.", true)
            }
            Error::Unexpected(_) => {
                Self::new("The server met a fault of its own.", "Try again; the server's log has the cause.", true)
            }
        }
    }
}

/// A capital letter at the start and a full stop at the end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let start: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{start}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_failure_never_reaches_the_page() {
        let problem = Problem::from_error(&Error::unexpected("panicked at src/lib.rs:7"));
        assert!(!problem.what.contains("panicked") && !problem.remedy.contains("panicked"));
        assert!(problem.can_retry);
    }

    #[test]
    fn a_lost_server_and_a_lost_service_are_told_apart() {
        let told =
            |service: &str| Problem::from_error(&Error::UpstreamUnavailable { service: service.to_owned() }).what;
        assert_eq!(told(SERVER), "The server cannot be reached.");
        assert_eq!(told("teacher"), "The teacher service did not answer.");
    }

    #[test]
    fn what_is_not_there_is_called_by_its_kind_and_id() {
        let resource = "datasets/mnist/examples/train-99".to_owned();
        let problem = Problem::from_error(&Error::NotFound { kind: "EXAMPLE", resource });
        assert_eq!((&*problem.what, &*problem.remedy), ("There is no example train-99.", "Choose another image."));
    }

    #[test]
    fn what_is_anothers_and_what_is_too_much_is_told_in_words_for_a_person() {
        let denied = |reason| Error::PermissionDenied {
            reason,
            subject: "teachers/t".to_owned(),
            description: "teachers/t is ben's: only they and admins may delete it".to_owned(),
        };
        let busy = Error::QueueFull { engine: "explanations".to_owned(), retry_after_ms: 2_000 };
        let (creator, what) = ("ana".to_owned(), "explanations".to_owned());
        let quota = Error::QuotaExceeded { creator, what, limit: 16, retry_after_ms: 5_000 };
        let cases = [
            (denied("NOT_THE_CREATOR"), "This is not yours to change.", false),
            (denied("GATEWAY_NOT_TRUSTED"), "The server does not trust who told it your name.", false),
            (Error::Unauthenticated, "The server does not know this key.", false),
            (quota, "You have 16 explanations under way, as many as one person may.", true),
            (busy, "Every place is taken at the moment.", true),
        ];
        for (error, what, can_retry) in cases {
            let problem = Problem::from_error(&error);
            assert_eq!((&*problem.what, problem.can_retry), (what, can_retry));
            assert!(!problem.remedy.is_empty());
            for word in ["teachers/", "x-deeper", "_"] {
                assert!(!problem.remedy.contains(word) && !problem.what.contains(word), "{problem:?}");
            }
        }
    }

    #[test]
    fn wrong_fields_are_told_as_a_sentence() {
        let problem = Problem::from_error(&Error::invalid("radius", "9 is not above 0 and at most 5"));
        assert_eq!(problem.remedy, "Radius: 9 is not above 0 and at most 5.");
    }
}
