//! Trains a network from beginning to end: steps through the gate, checkpoints now and then, and ends
//! early when it is asked to. Where checkpoints go is the caller's affair.

pub mod journal;
pub mod schedule;
pub mod session;

use std::time::{Duration, Instant};

use domain::{Error, Progress, Result};
use runtime::long::LongContext;
use torch::Checkpoint;

use self::session::Session;

/// Steps until the session is done. Saves after each epoch, every `interval`, and when it is cancelled,
/// so that nothing but the step at hand is ever lost to a polite end, and `interval` to a kill.
pub fn run(
    session: &mut Session,
    interval: Duration,
    context: &LongContext<Progress>,
    mut save: impl FnMut(Checkpoint) -> Result<()>,
) -> Result<()> {
    let mut saved_at = Instant::now();
    context.report(session.progress());
    while !session.is_done() {
        if context.is_cancelled() {
            save(session.checkpoint()?)?;
            return Err(Error::Cancelled);
        }
        context.step(|| session.step())?;
        context.report(session.progress());
        let is_due = session.is_between_epochs() || saved_at.elapsed() >= interval;
        if is_due && !session.is_done() {
            // A store that is away for a moment should not cost the whole training.
            if let Err(error) = save(session.checkpoint()?) {
                tracing::warn!(%error, "a checkpoint could not be saved; the training goes on");
            }
            saved_at = Instant::now();
        }
    }
    Ok(())
}
