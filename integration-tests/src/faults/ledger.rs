//! What all users saw of a system: calls, failures, answers. Every call goes through it and has a deadline.

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use runtime::call::Context;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::failure::Failure;

/// A call that has not ended so long after its deadline hangs. Less would count pauses of a busy machine.
const GRACE: Duration = Duration::from_secs(3);
/// Failures that are kept; of more, only how many there were.
const MAX_FAILURES: usize = 100_000;
/// Sentences that are kept of what must not happen.
const MAX_TOLD: usize = 20;
/// The longest explanation that is told apart, in milliseconds.
const LONGEST_MS: u64 = 600_000;

/// A call that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// When its caller heard of it.
    pub at: Instant,
    /// With what.
    pub code: Code,
    /// Whether it says in our words why: code and `ErrorInfo` of what a fault may cause.
    pub is_typed: bool,
}

/// What was seen so far.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Calls that ended, however.
    pub call_count: u64,
    /// Those that failed, in order.
    pub failures: Vec<Failed>,
    /// Failures beyond those that are kept.
    pub untold_failure_count: u64,
    /// Calls that did not end within their deadline and a little.
    pub hung_count: u64,
    /// Milliseconds from the wish to the answer, waits and repeats included.
    pub explained: Histogram<u64>,
    /// Explanations that were asked for and never came.
    pub lost_count: u64,
    /// Answers that were another one to the same question.
    pub wrong_count: u64,
    /// Of untyped failures, hanging calls, lost and wrong explanations: what happened, the first ones.
    pub told: Vec<String>,
}

/// Written by all users, read by whoever watches them.
#[derive(Debug)]
pub struct Ledger(Mutex<Seen>);

impl Default for Ledger {
    fn default() -> Self {
        Self(Mutex::new(Seen {
            call_count: 0,
            failures: Vec::new(),
            untold_failure_count: 0,
            hung_count: 0,
            explained: Histogram::new_with_bounds(1, LONGEST_MS, 3).expect("the bounds are in order"),
            lost_count: 0,
            wrong_count: 0,
            told: Vec::new(),
        }))
    }
}

impl Ledger {
    /// A copy.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Makes a call with a deadline and notes how it ended.
    pub async fn call<T>(
        &self,
        what: &str,
        limit: Duration,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let context = Context::default().within(limit);
        let Ok(outcome) = timeout(limit + GRACE, context.scope(call)).await else {
            let mut seen = self.lock();
            seen.call_count += 1;
            seen.hung_count += 1;
            seen.tell(format!("{what} hung"));
            return Err(Status::deadline_exceeded(format!("{what} hung")));
        };
        self.lock().call_count += 1;
        if let Err(status) = &outcome {
            self.failed(what, status);
        }
        outcome
    }

    /// A failure, of a call or of what it was asked for.
    pub fn failed(&self, what: &str, status: &Status) {
        let failure = Failed { at: Instant::now(), code: status.code(), is_typed: is_typed(status) };
        let mut seen = self.lock();
        if !failure.is_typed {
            seen.tell(format!("{what}: {}: {}", status.code(), status.message()));
        }
        if seen.failures.len() < MAX_FAILURES {
            seen.failures.push(failure);
        } else {
            seen.untold_failure_count += 1;
        }
    }

    /// An explanation came.
    pub fn explained(&self, took: Duration) {
        self.lock().explained.saturating_record(u64::try_from(took.as_millis()).unwrap_or(LONGEST_MS));
    }

    /// An explanation did not come.
    pub fn lost(&self, why: String) {
        let mut seen = self.lock();
        seen.lost_count += 1;
        seen.tell(why);
    }

    /// An answer was another one than before.
    pub fn wrong(&self, what: String) {
        let mut seen = self.lock();
        seen.wrong_count += 1;
        seen.tell(what);
    }

    /// The counts are whole after every statement, so a panic elsewhere leaves nothing to repair.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn tell(&mut self, what: String) {
        if self.told.len() < MAX_TOLD {
            self.told.push(what);
        }
    }
}

/// Somebody is not there, has no room, or was too slow, and says so as our services do. Anything else is no
/// answer to a fault.
fn is_typed(status: &Status) -> bool {
    let is_expected = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded);
    let failure = Failure::from(status.clone());
    let domain = failure.details.error_info().map(|info| info.domain.as_str());
    is_expected && domain == Some(proto::status::DOMAIN)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use domain::Error;
    use proto::status::from_error;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_outlives_its_deadline_hangs() {
        let ledger = Ledger::default();
        assert!(ledger.call("watching", LIMIT, pending::<Result<(), Status>>()).await.is_err());
        assert!(ledger.call("watching", LIMIT, ready(Ok(()))).await.is_ok());
        let seen = ledger.seen();
        assert_eq!((seen.call_count, seen.hung_count, seen.failures.len()), (2, 1, 0));
        assert_eq!(seen.told, ["watching hung"]);
    }

    #[tokio::test]
    async fn only_what_a_fault_may_cause_in_our_own_words_is_typed() {
        let ledger = Ledger::default();
        let gone = from_error(Error::UpstreamUnavailable { service: "vae".into() });
        let full = from_error(Error::QueueFull { engine: "vae".into(), retry_after_ms: 100 });
        let typed = [gone, full, from_error(Error::DeadlineExceeded)];
        // A proxy's page, a bug, and a cancellation that nobody asked for.
        let untyped = [Status::unavailable("502"), from_error(Error::unexpected("?")), from_error(Error::Cancelled)];
        for status in typed.into_iter().chain(untyped) {
            assert!(ledger.call("asking", LIMIT, ready(Err::<(), _>(status))).await.is_err());
        }
        let typed: Vec<bool> = ledger.seen().failures.iter().map(|failed| failed.is_typed).collect();
        assert_eq!(typed, [true, true, true, false, false, false]);
    }
}
