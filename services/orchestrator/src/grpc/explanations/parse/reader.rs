//! Collects the fields of one request, so that every wrong one is in the answer.

use domain::{Error, ResourceName, Result, Violations};
use proto::fields::{enumerated, nested, required};
use runtime::page::Page;

/// Longest id of an explanation: its operation's id is twelve longer.
const MAX_ID_LENGTH: usize = 48;

/// Collects fields; `done` ends with every violation or with all values.
#[derive(Default)]
pub(super) struct Reader(pub(super) Violations);

impl Reader {
    pub(super) fn name(&mut self, field: &str, text: &str, collections: &[&str]) -> Option<ResourceName> {
        self.0.take(field, ResourceName::parse(text, collections))
    }

    pub(super) fn message<R, T: TryFrom<R, Error = Error>>(&mut self, field: &str, value: Option<R>) -> Option<T> {
        let read = required(field, value).and_then(|value| nested(field, value));
        self.0.take("", read)
    }

    pub(super) fn optional<R, T: TryFrom<R, Error = Error> + Default>(
        &mut self,
        field: &str,
        value: Option<R>,
    ) -> Option<T> {
        match value {
            None => Some(T::default()),
            Some(value) => self.0.take("", nested(field, value)),
        }
    }

    /// A UUID in one spelling, so that it is one request however it was written.
    pub(super) fn request_id(&mut self, text: &str) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let read = uuid::Uuid::try_parse(text).map_err(|_| Error::invalid("request_id", "is not a UUID"));
        self.0.take("", read).map(|uuid| uuid.hyphenated().to_string())
    }

    /// The name of an explanation that is to be made: the caller's id, the request's, or a new one.
    pub(super) fn new_name(&mut self, id: &str, request_id: Option<&str>) -> Option<ResourceName> {
        let made = uuid::Uuid::new_v4().to_string();
        let id = Some(id).filter(|id| !id.is_empty()).or(request_id).unwrap_or(&made);
        if id.len() > MAX_ID_LENGTH {
            self.0.add("explanation_id", format!("is longer than {MAX_ID_LENGTH}"));
            return None;
        }
        self.0.take("explanation_id", ResourceName::new(ResourceName::EXPLANATION, &[id]))
    }

    /// A number that its enumeration knows; see [`enumerated`].
    pub(super) fn known<E: TryFrom<i32>>(
        &mut self,
        field: &str,
        value: i32,
        name: fn(&E) -> &'static str,
    ) -> Option<E> {
        self.0.take("", enumerated(field, value, name))
    }

    /// A part of a list. `arguments` are the request's other fields, whether they could be read or not.
    pub(super) fn page(&mut self, page_size: i32, page_token: &str, arguments: &[&str]) -> Option<Page> {
        self.0.take("", Page::parse(page_size, page_token, arguments))
    }

    /// All values are there exactly when nothing was noted.
    pub(super) fn done<T>(self, values: Option<T>) -> Result<T> {
        self.0.finish()?;
        values.ok_or_else(|| Error::unexpected("a field is missing and was not reported"))
    }
}
