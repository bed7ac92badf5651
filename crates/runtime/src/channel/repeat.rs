//! When a failed call is made again: only where that is safe, only what a moment can fix, and less the more
//! calls fail, so that a service that is down is not also flooded.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use domain::Error;

use super::methods::Method;

/// Tries of one call, the first one counted (gRPC's usual service configuration).
pub(super) const ATTEMPTS: u32 = 4;
/// Wait before the second try of the same replica; each later one waits twice as long.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Wait before another replica is tried: just enough to spread those that failed together.
pub(super) const SWITCH_PAUSE: Duration = Duration::from_millis(5);

/// gRPC's retry throttling: a failure takes a token, a success gives back a tenth of one, and nothing is
/// repeated while less than half of the tokens are there.
const MAX_TOKENS: i64 = 1_000;
/// In thousandths of a token.
const SUCCESS_GIVES: i64 = 100;
const FAILURE_TAKES: i64 = 1_000;

/// How many calls may be made again, over all calls of a channel.
#[derive(Debug)]
pub(super) struct Budget {
    /// Thousandths of tokens, 0 to `1_000 * MAX_TOKENS`.
    left: AtomicI64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: AtomicI64::new(1_000 * MAX_TOKENS) }
    }
}

impl Budget {
    /// Notes how a try ended.
    pub(super) fn learn(&self, was_answered: bool) {
        let change = if was_answered { SUCCESS_GIVES } else { -FAILURE_TAKES };
        let clamp = |left: i64| Some((left + change).clamp(0, 1_000 * MAX_TOKENS));
        // The closure always has a value.
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, clamp).ok();
    }

    /// Whether there is a try to spend.
    pub(super) fn allows(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 500 * MAX_TOKENS
    }
}

/// How long to wait before the same replica is asked again, if the call may be made again at all. `was_sent`
/// is false only where the server cannot have seen it.
pub(super) fn wait(
    error: &Error,
    was_sent: bool,
    method: Option<Method>,
    service: &str,
    pause: Duration,
) -> Option<Duration> {
    if !was_sent {
        return Some(pause);
    }
    if !method.is_some_and(|method| method.is_repeatable) {
        return None;
    }
    match error {
        // If it is somebody behind the service who is gone, the service has tried again itself.
        Error::UpstreamUnavailable { service: gone } if gone == service || gone == "remote" => Some(pause),
        Error::QueueFull { retry_after_ms, .. } => {
            let asked_for = Duration::from_millis(*retry_after_ms);
            (asked_for <= LONGEST_PAUSE).then_some(asked_for)
        }
        _ => None,
    }
}

/// The pause after this one.
pub(super) fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// ±20 %, so that callers that failed together do not come back together.
pub(crate) fn jittered(wait: Duration) -> Duration {
    let random = f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0;
    wait.mul_f64(0.8 + 0.4 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Method = Method { streams_in: false, streams_out: false, is_repeatable: true };
    const WRITE: Method = Method { is_repeatable: false, ..READ };

    fn gone(service: &str) -> Error {
        Error::UpstreamUnavailable { service: service.into() }
    }

    fn full(retry_after_ms: u64) -> Error {
        Error::QueueFull { engine: "teacher".into(), retry_after_ms }
    }

    #[track_caller]
    fn check(error: &Error, was_sent: bool, method: Option<Method>, expected_ms: Option<u64>) {
        let waited = wait(error, was_sent, method, "teacher", Duration::from_millis(200));
        assert_eq!(waited, expected_ms.map(Duration::from_millis), "{error:?} {was_sent} {method:?}");
    }

    #[test]
    fn only_what_is_safe_and_may_help_is_repeated() {
        check(&gone("teacher"), true, Some(READ), Some(200));
        check(&gone("teacher"), true, Some(WRITE), None);
        check(&gone("teacher"), true, None, None);
        check(&gone("teacher"), false, Some(WRITE), Some(200));
        check(&gone("artifact store"), true, Some(READ), None);
        check(&full(500), true, Some(READ), Some(500));
        check(&full(5_000), true, Some(READ), None);
        check(&Error::DeadlineExceeded, true, Some(READ), None);
        check(&Error::unexpected("a bug"), true, Some(READ), None);
    }

    #[test]
    fn a_service_that_is_down_is_not_asked_twice_as_often() {
        let budget = Budget::default();
        let repeated = (0..10_000).filter(|_| {
            budget.learn(false);
            budget.allows()
        });
        assert_eq!(repeated.count(), 499, "half of the tokens");
        // Ten successes pay for one more try: a tenth of the traffic.
        for _ in 0..5_000 {
            budget.learn(true);
        }
        assert!(!budget.allows());
        for _ in 0..10 {
            budget.learn(true);
        }
        assert!(budget.allows());
    }
}
