//! Trying again, where that can help: only what a moment can fix, only a few times, only in time.

use std::{future::Future, time::Duration};

use domain::{Error, Result};

use crate::call::Context;

/// Tries of one call, the first one counted (gRPC's usual service configuration).
pub const ATTEMPTS: u32 = 4;
/// Wait before the second try; each later one waits twice as long, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Makes a call that may be made twice until it succeeds, fails for good, or the context ends. A service
/// that cannot be reached is tried again after 0.1 s, 0.2 s and 0.4 s, ±20 %; a full queue when it asks
/// for at most a second. Everything else is the caller's to judge.
pub async fn retry<T, F>(context: &Context, mut call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        let error = match context.run(call()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let pause = match &error {
            Error::UpstreamUnavailable { .. } => jittered(wait),
            Error::QueueFull { retry_after_ms, .. } if *retry_after_ms <= LONGEST_WAIT.as_millis() as u64 => {
                jittered(Duration::from_millis(*retry_after_ms))
            }
            _ => return Err(error),
        };
        // Waiting past the deadline would only hide the reason.
        if context.remaining().is_some_and(|left| left <= pause) {
            return Err(error);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            ended = context.ended() => return Err(ended),
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    context.run(call()).await
}

/// ±20 %, so that callers that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let random = f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0;
    wait.mul_f64(0.8 + 0.4 * random)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn tries(context: &Context, answers: &[Result<u32>]) -> (Result<u32>, usize) {
        let count = Cell::new(0);
        let outcome = retry(context, || {
            count.set(count.get() + 1);
            let answer = answers[count.get() - 1].clone();
            async move { answer }
        });
        (outcome.await, count.get())
    }

    fn gone() -> Result<u32> {
        Err(Error::UpstreamUnavailable { service: "vae".into() })
    }

    fn full(retry_after_ms: u64) -> Result<u32> {
        Err(Error::QueueFull { engine: "teacher".into(), retry_after_ms })
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_a_moment_can_fix_is_tried_again() {
        let context = Context::default();
        assert_eq!(tries(&context, &[gone(), full(500), Ok(1)]).await, (Ok(1), 3));
        assert_eq!(tries(&context, &[gone(), gone(), gone(), gone()]).await, (gone(), 4));
        assert_eq!(tries(&context, &[full(5_000)]).await, (full(5_000), 1));
        assert_eq!(tries(&context, &[Err(Error::DeadlineExceeded)]).await, (Err(Error::DeadlineExceeded), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_past_the_deadline() {
        let context = Context::default().within(Duration::from_millis(50));
        assert_eq!(tries(&context, &[gone()]).await, (gone(), 1));
    }
}
