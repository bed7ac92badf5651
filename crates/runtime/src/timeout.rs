//! `grpc-timeout` as the protocol writes it: at most eight digits and a unit.

use std::time::Duration;

use domain::{Error, Result};
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// The header.
pub(crate) const TIMEOUT_HEADER: &str = "grpc-timeout";

/// What a request says of its time; `None` if it says nothing.
pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Duration>> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else { return Ok(None) };
    let wrong = || Error::invalid(TIMEOUT_HEADER, "is not one to eight digits and one of H, M, S, m, u, n");
    value.to_str().ok().and_then(parse).map(Some).ok_or_else(wrong)
}

/// What is left until a deadline, for the next service: rounded down, so that nobody gets more time than
/// there is.
pub(crate) fn write(deadline: Instant) -> HeaderValue {
    let left = deadline.saturating_duration_since(Instant::now());
    let micros = left.as_micros();
    let text = if micros < 100_000_000 {
        format!("{micros}u")
    } else if left.as_millis() < 100_000_000 {
        format!("{}m", left.as_millis())
    } else {
        format!("{}S", left.as_secs().min(99_999_999))
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("0u"))
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse("0S"), Some(Duration::ZERO));
        for wrong in ["", "S", "10", "123456789S", "-1S", "+1S", "1.5S", "1x", "1é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_is_read_again_and_is_never_more() {
        for seconds in [0.0, 0.25, 99.0, 100.5, 86_400.0, 3e7] {
            let left = Duration::from_secs_f64(seconds);
            let text = write(Instant::now() + left);
            let read = parse(text.to_str().unwrap()).unwrap();
            assert!(read <= left && left - read < Duration::from_secs(1), "{text:?} of {left:?}");
        }
        assert_eq!(write(Instant::now()), "0u");
    }
}
