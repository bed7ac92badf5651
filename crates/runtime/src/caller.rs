//! On whose behalf a call is made: the key by which queues are shared out, nothing more. It grants no
//! right; who may do what is decided where users are known.

use std::{fmt, sync::Arc};

use domain::{Error, Result};
use http::{HeaderMap, HeaderValue};

/// Carries a [`Caller`] between services.
pub const CALLER_HEADER: &str = "x-deeper-caller";
/// Longest key.
const MAX_BYTES: usize = 128;
const ANONYMOUS: &str = "anonymous";

/// Somebody whose work takes turns with that of others. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller(Arc<str>);

impl Default for Caller {
    /// Nobody in particular.
    fn default() -> Self {
        Self(ANONYMOUS.into())
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Caller {
    /// 1 to 128 visible ASCII characters.
    pub fn new(key: &str) -> Result<Self> {
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > MAX_BYTES || !is_visible {
            let description = format!("is not 1 to {MAX_BYTES} visible ASCII characters");
            return Err(Error::invalid(CALLER_HEADER, description));
        }
        Ok(Self(key.into()))
    }

    /// The caller that a peer of ours names; `None` if it names nobody.
    pub fn of_headers(headers: &HeaderMap) -> Result<Option<Self>> {
        let Some(value) = headers.get(CALLER_HEADER) else { return Ok(None) };
        Self::new(value.to_str().unwrap_or_default()).map(Some)
    }

    /// Whether it is nobody in particular.
    pub fn is_anonymous(&self) -> bool {
        &*self.0 == ANONYMOUS
    }

    /// For the next service, unless there is nothing to say.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        // Visible ASCII is a header's value.
        (!self.is_anonymous()).then(|| HeaderValue::from_str(&self.0).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_visible() {
        let longest = "x".repeat(MAX_BYTES);
        for right in ["a", "user:42", "address:::1", &longest] {
            assert_eq!(Caller::new(right).unwrap().to_string(), right);
        }
        let too_long = "x".repeat(MAX_BYTES + 1);
        for wrong in ["", "a b", "line\nbreak", "é", &too_long] {
            assert!(matches!(Caller::new(wrong), Err(Error::InvalidFields(_))), "{wrong:?}");
        }
    }

    #[test]
    fn nobody_in_particular_is_not_written_down() {
        assert_eq!(Caller::default().header(), None);
        assert_eq!(Caller::new("ada").unwrap().header().unwrap(), "ada");
        let mut headers = HeaderMap::new();
        assert_eq!(Caller::of_headers(&headers), Ok(None));
        headers.insert(CALLER_HEADER, HeaderValue::from_static("ada"));
        assert_eq!(Caller::of_headers(&headers), Ok(Some(Caller::new("ada").unwrap())));
    }
}
