//! Work that goes on for minutes: a thread of its own, a watched progress, cancelled between steps.
//! Trainings queue one by one; each step enters the gate behind everything interactive.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Instant,
};

use domain::{Error, Progress, Result};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::{
    engine::panicked,
    gate::{Gate, Priority},
    metrics::{metrics, training_ended, training_reported},
};

/// When to ask again for a training that was refused, of another replica or of this one.
const RETRY_AFTER_MS: u64 = 2_000;

/// Admits one training of a process at a time, in order of arrival. Cheap to clone; every service of a
/// process is given a clone of the same queue.
#[derive(Debug, Clone)]
pub struct TrainingQueue {
    gate: Gate,
    turn: Arc<Semaphore>,
    /// One for each training that this process takes, running or waiting; `None`: any number.
    slots: Option<Arc<Semaphore>>,
}

/// How many trainings a replica takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct TrainingConfig {
    /// Trainings that this replica takes; one runs and the others wait for it. A call for one more is answered
    /// RESOURCE_EXHAUSTED, and the orchestrator asks another replica. 0: this replica only answers.
    #[arg(
        long,
        env = "DEEPER_TRAINING_SLOTS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(0..=64),
    )]
    pub training_slots: u16,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self { training_slots: 1 }
    }
}

/// What a training tells of itself while it goes on.
pub trait Report: Send + Sync + 'static {
    /// What the metrics tell of it; `None` for what has no steps.
    fn progress(&self) -> Option<&Progress>;
}

impl Report for Progress {
    fn progress(&self) -> Option<&Progress> {
        Some(self)
    }
}

/// A training as its starter sees it. Dropping it does not stop the training: [`LongTask::cancel`] does.
#[derive(Debug)]
pub struct LongTask<P, T> {
    /// The latest report; first the one that was given at the start. Closed once the work has ended.
    pub progress: watch::Receiver<P>,
    /// Ends the work between two steps.
    pub cancellation: CancellationToken,
    result: oneshot::Receiver<Result<T>>,
}

/// A training as it sees its surroundings.
#[derive(Debug)]
pub struct LongContext<P> {
    gate: Gate,
    cancellation: CancellationToken,
    progress: watch::Sender<P>,
}

impl TrainingQueue {
    /// A queue of any length whose steps pass this gate.
    pub fn new(gate: Gate) -> Self {
        Self { gate, turn: Arc::new(Semaphore::new(1)), slots: None }
    }

    /// A queue that takes as many trainings as are configured.
    pub fn with_slots(gate: Gate, config: TrainingConfig) -> Self {
        let slots = Semaphore::new(config.training_slots.into());
        Self { slots: Some(Arc::new(slots)), ..Self::new(gate) }
    }

    /// Queues `work`, or refuses it with `QueueFull` where all slots are taken; when its turn comes it runs on
    /// a thread of its own. Must be called on a tokio runtime. A cancelled token ends the wait at once and the
    /// work between two steps: the result is then `Cancelled`. A panic is `Unexpected`.
    pub fn start<P, T, F>(
        &self,
        name: &str,
        cancellation: CancellationToken,
        queued: P,
        work: F,
    ) -> Result<LongTask<P, T>>
    where
        P: Report,
        T: Send + 'static,
        F: FnOnce(&LongContext<P>) -> Result<T> + Send + 'static,
    {
        let slot = match &self.slots {
            Some(slots) => Some(Arc::clone(slots).try_acquire_owned().map_err(|_| no_slot())?),
            None => None,
        };
        let (reporter, progress) = watch::channel(queued);
        let (answer, result) = oneshot::channel();
        let context = LongContext { gate: self.gate.clone(), cancellation: cancellation.clone(), progress: reporter };
        let (turn, name) = (Arc::clone(&self.turn), name.to_owned());
        let task = async move {
            let _turn = tokio::select! {
                () = context.cancellation.cancelled() => {
                    answer.send(Err(Error::Cancelled)).ok();
                    return;
                }
                turn = turn.acquire_owned() => turn,
            };
            let outcome = on_thread(&name, move || work(&context)).await;
            training_ended();
            // Free before anybody is told, who may ask for the next one.
            drop(slot);
            // Nobody may be interested any more; the work itself has written what must last.
            answer.send(outcome).ok();
        };
        tokio::spawn(task.in_current_span());
        Ok(LongTask { progress, cancellation, result })
    }

    /// Waits until no training runs. A process that stops waits for the one it has cancelled: it may be
    /// writing its last checkpoint.
    pub async fn idle(&self) {
        // The semaphore is never closed.
        self.turn.acquire().await.ok();
    }
}

fn no_slot() -> Error {
    Error::QueueFull { engine: "trainings".to_owned(), retry_after_ms: RETRY_AFTER_MS }
}

/// Runs blocking work on a new thread that carries the current span.
async fn on_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    let span = Span::current();
    thread::Builder::new()
        .name(name.chars().take(15).collect())
        .spawn(move || {
            let outcome = span.in_scope(|| catch_unwind(AssertUnwindSafe(work)));
            answer.send(outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))).ok();
        })
        .map_err(Error::unexpected)?;
    answered.await.map_err(Error::unexpected)?
}

impl<P, T> LongTask<P, T> {
    /// Asks the work to end. It does within one step.
    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// Waits for the end.
    pub async fn finished(self) -> Result<T> {
        self.result.await.map_err(Error::unexpected)?
    }
}

impl<P: Report> LongContext<P> {
    /// Whether the work should end.
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// `Err(Cancelled)` if the work should end: `context.check()?` between two steps.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Tells all watchers how far the work has come. Never blocks.
    pub fn report(&self, progress: P) {
        if let Some(progress) = progress.progress() {
            training_reported(progress);
        }
        self.progress.send_replace(progress);
    }

    /// Runs one heavy step inside the gate, behind everything interactive. Keep it under about 100 ms:
    /// that is what an interactive caller may have to wait.
    pub fn step<T>(&self, step: impl FnOnce() -> T) -> T {
        let _permit = self.gate.enter(Priority::Training);
        let started_at = Instant::now();
        let done = step();
        metrics().training_had_turn(started_at.elapsed());
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! without_steps {
        ($($kind:ty)*) => {
            $(impl Report for $kind {
                fn progress(&self) -> Option<&Progress> {
                    None
                }
            })*
        };
    }
    without_steps!(() u32 &'static str);

    fn start<P, T, F>(queue: &TrainingQueue, name: &str, queued: P, work: F) -> LongTask<P, T>
    where
        P: Report,
        T: Send + 'static,
        F: FnOnce(&LongContext<P>) -> Result<T> + Send + 'static,
    {
        queue.start(name, CancellationToken::new(), queued, work).expect("there is room")
    }

    #[tokio::test]
    async fn a_replica_takes_as_many_trainings_as_it_has_slots() {
        let queue = TrainingQueue::with_slots(Gate::new(), TrainingConfig { training_slots: 2 });
        let (release, released) = std::sync::mpsc::channel::<()>();
        let first = start(&queue, "first", (), move |_| released.recv().map_err(Error::unexpected));
        let second = start(&queue, "second", (), |_| Ok(()));
        let third = queue.start("third", CancellationToken::new(), (), |_| Ok(()));
        assert_eq!(third.err(), Some(no_slot()));
        release.send(()).unwrap();
        assert_eq!((first.finished().await, second.finished().await), (Ok(()), Ok(())));
        start(&queue, "fourth", (), |_| Ok(())).finished().await.unwrap();

        let serving = TrainingQueue::with_slots(Gate::new(), TrainingConfig { training_slots: 0 });
        assert!(serving.start("none", CancellationToken::new(), (), |_| Ok(())).is_err());
    }

    #[tokio::test]
    async fn trainings_run_one_by_one_and_report() {
        let queue = TrainingQueue::new(Gate::new());
        let (release, released) = std::sync::mpsc::channel::<()>();
        let mut first = start(&queue, "first", "queued", move |context| {
            context.report("training");
            released.recv().map_err(Error::unexpected)?;
            Ok(1)
        });
        let second = start(&queue, "second", "queued", |context| Ok(context.step(|| 2)));
        first.progress.wait_for(|&progress| progress == "training").await.unwrap();
        assert_eq!(*second.progress.borrow(), "queued");
        release.send(()).unwrap();
        assert_eq!(first.finished().await, Ok(1));
        assert_eq!(second.finished().await, Ok(2));
    }

    #[tokio::test]
    async fn cancelling_ends_the_wait_and_the_work() {
        let queue = TrainingQueue::new(Gate::new());
        let endless = |context: &LongContext<u32>| -> Result<()> {
            loop {
                context.check()?;
                context.step(thread::yield_now);
            }
        };
        let running = start(&queue, "running", 0, endless);
        let waiting = start(&queue, "waiting", 0, endless);
        waiting.cancel();
        assert_eq!(waiting.finished().await, Err(Error::Cancelled));
        running.cancel();
        assert_eq!(running.finished().await, Err(Error::Cancelled));
    }

    #[tokio::test]
    async fn a_panic_is_an_unexpected_error_and_the_next_one_has_its_turn() {
        let queue = TrainingQueue::new(Gate::new());
        let broken = start(&queue, "broken", (), |context| -> Result<()> { context.step(|| panic!("no such layer")) });
        let next = start(&queue, "next", (), |context| Ok(context.step(|| 2)));
        assert_eq!(broken.finished().await, Err(Error::Unexpected("panic: no such layer".into())));
        assert_eq!(next.finished().await, Ok(2));
    }
}
