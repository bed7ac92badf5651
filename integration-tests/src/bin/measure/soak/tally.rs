//! What many clients did and what became of it: written by all of them, read line by line.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tonic::{Code, Status};

use super::clients::Action;

/// So many failures are told of in words.
const TOLD_FAILURES: u64 = 20;

/// Everything that was counted, behind one lock that nobody holds for long.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

/// The counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Actions that ended as they should.
    pub(super) done: BTreeMap<Action, u64>,
    /// Calls that were told to come back later.
    pub(super) refused: u64,
    /// Everything else that was not as it should be.
    pub(super) failed: u64,
    /// Explanations that were computed: when they were complete, and their milliseconds from the request.
    pub(super) explained: Vec<(Instant, f64)>,
    /// Milliseconds from the request to cancel to the end of the watch.
    pub(super) cancelled: Vec<f64>,
}

impl Tally {
    /// A copy.
    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Explanations so far.
    pub(super) fn explained_count(&self) -> usize {
        self.lock().explained.len()
    }

    /// One more explanation.
    pub(super) fn explained(&self, took: Duration) {
        self.lock().explained.push((Instant::now(), took.as_secs_f64() * 1e3));
    }

    /// One more cancelled explanation.
    pub(super) fn cancelled(&self, took: Duration) {
        self.lock().cancelled.push(took.as_secs_f64() * 1e3);
    }

    /// How an action ended; whether its client should wait a little before the next.
    pub(super) fn ended(&self, action: Action, outcome: Result<(), Status>) -> bool {
        let mut counts = self.lock();
        match outcome {
            Ok(()) => {
                *counts.done.entry(action).or_default() += 1;
                false
            }
            Err(status) if status.code() == Code::ResourceExhausted => {
                counts.refused += 1;
                true
            }
            Err(status) => {
                counts.failed += 1;
                if counts.failed <= TOLD_FAILURES {
                    eprintln!("{action:?}: {}: {}", status.code(), status.message());
                }
                true
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Actions of a kind that ended well.
    pub(super) fn done(&self, action: Action) -> u64 {
        self.done.get(&action).copied().unwrap_or_default()
    }
}
