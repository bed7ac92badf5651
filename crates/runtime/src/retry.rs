//! Trying again, where that can help: only what a moment can fix, only a few times, only in time. Channels
//! repeat single calls by themselves; this is for work of several calls, and for streams that go on.

use std::{future::Future, time::Duration};

use domain::{Error, Result};
use tokio::time::Instant;

use crate::{call::Context, channel::jittered};

/// How long a service may be away before work that needs it fails: another replica, or a restart.
pub const UNREACHABLE_LIMIT: Duration = Duration::from_secs(5);
/// How long work in the background stands in a queue that is full.
pub const FULL_LIMIT: Duration = Duration::from_secs(60);
/// Wait before the second try; each later one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Makes calls that may be made twice until they succeed, fail for good, or get nowhere for too long.
pub async fn persist<T, F>(mut work: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut patience = Patience::default();
    loop {
        match work().await {
            Err(error) => patience.after(error).await?,
            done => return done,
        }
    }
}

/// How often and how long something is tried again. A service that is away is given [`UNREACHABLE_LIMIT`],
/// a full queue [`FULL_LIMIT`], both anew after each [`Patience::progress`], and never past the deadline of
/// the [`Context`] it works in.
#[derive(Debug)]
pub struct Patience {
    since: Option<Instant>,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { since: None, pause: FIRST_PAUSE }
    }
}

impl Patience {
    /// Something was reached: what fails next is a new failure.
    pub fn progress(&mut self) {
        *self = Self::default();
    }

    /// Waits before the next try, or gives the error back because a moment does not help or was too long.
    pub async fn after(&mut self, error: Error) -> Result<()> {
        let (limit, pause) = match &error {
            Error::UpstreamUnavailable { .. } => (UNREACHABLE_LIMIT, self.pause),
            Error::QueueFull { retry_after_ms, .. } => (FULL_LIMIT, Duration::from_millis(*retry_after_ms)),
            _ => return Err(error),
        };
        let context = Context::current();
        let pause = jittered(pause.min(LONGEST_PAUSE));
        let since = *self.since.get_or_insert_with(Instant::now);
        // Waiting past the deadline would only hide the reason.
        if since.elapsed() + pause > limit || context.remaining().is_some_and(|left| left <= pause) {
            return Err(error);
        }
        tracing::debug!(%error, pause_ms = pause.as_millis() as u64, "tried again");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            ended = context.ended() => return Err(ended),
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn tries(answer: impl Fn(usize) -> Result<u32>) -> (Result<u32>, usize, Duration) {
        let (count, began) = (Cell::new(0), Instant::now());
        let outcome = persist(|| {
            count.set(count.get() + 1);
            let answer = answer(count.get());
            async move { answer }
        });
        (outcome.await, count.get(), began.elapsed())
    }

    fn gone() -> Result<u32> {
        Err(Error::UpstreamUnavailable { service: "vae".into() })
    }

    fn full() -> Result<u32> {
        Err(Error::QueueFull { engine: "teacher".into(), retry_after_ms: 500 })
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_moment_can_fix_is_tried_for_a_bounded_time() {
        let (outcome, count, _) = tries(|count| if count < 4 { gone() } else { Ok(1) }).await;
        assert_eq!((outcome, count), (Ok(1), 4));
        let (outcome, count, took) = tries(|_| gone()).await;
        assert_eq!(outcome, gone());
        assert!(count >= 6 && took <= UNREACHABLE_LIMIT, "{count} tries in {took:?}");
        let (outcome, count, took) = tries(|_| full()).await;
        assert_eq!(outcome, full());
        assert!(count >= 100 && took > UNREACHABLE_LIMIT && took <= FULL_LIMIT, "{count} tries in {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_moment_does_not_fix_is_told_at_once() {
        for error in [Error::DeadlineExceeded, Error::Cancelled, Error::unexpected("a bug")] {
            let (outcome, count, _) = tries(|_| Err(error.clone())).await;
            assert_eq!((outcome, count), (Err(error), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_past_the_deadline() {
        let context = Context::default().within(Duration::from_millis(50));
        let (outcome, count, _) = context.scope(tries(|_| gone())).await;
        assert_eq!((outcome, count), (gone(), 1));
    }
}
