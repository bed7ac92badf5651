//! One OS thread owns one model: a bounded queue in front, jobs of several callers in one batch.
//! What a model is and what a job means is the worker's affair; this file knows neither.

mod thread;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, SyncSender, TrySendError},
    },
    time::{Duration, Instant},
};

use domain::{Error, Result};
use tokio::sync::oneshot;
use tracing::Span;

use crate::{
    gate::{Gate, Priority},
    metrics::metrics,
};

/// What an engine thread does. The worker is built on its thread and never leaves it, so it need not
/// be `Send`: models usually are not.
pub trait Worker: 'static {
    /// One caller's request.
    type Job: Send + 'static;
    /// What the caller gets.
    type Answer: Send + 'static;

    /// How much of a batch a job takes, in the unit of [`EngineConfig::batch_cost`]; images, usually.
    /// Cheap, asked more than once a job, and without a panic.
    fn cost(&self, job: &Self::Job) -> usize;

    /// Answers all jobs, in order: one result a job. Runs inside the gate. A panic is answered with
    /// `Unexpected` to these callers and the same worker goes on, so it must keep nothing between two
    /// runs that a panic could leave half done.
    fn run(&mut self, jobs: Vec<Self::Job>) -> Vec<Result<Self::Answer>>;
}

/// The bounds of an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// For threads, spans, metrics and the `QueueFull` answer: `teacher resnet50-mnist`.
    pub name: String,
    /// Jobs that may wait; one more is answered `QueueFull` at once.
    pub queue_capacity: usize,
    /// A batch ends before the job that would make it dearer than this. A single job may be dearer and
    /// runs alone; split long work into jobs of at most this cost, so that a caller who leaves frees
    /// the engine within one batch.
    pub batch_cost: usize,
    /// How long a batch that is not full waits for company; zero takes what is there.
    pub batch_delay: Duration,
}

impl EngineConfig {
    /// 64 waiting jobs and no delay: jobs gather by themselves while the gate is busy.
    pub fn new(name: impl Into<String>, batch_cost: usize) -> Self {
        Self { name: name.into(), queue_capacity: 64, batch_cost, batch_delay: Duration::ZERO }
    }
}

/// A job's answer and where its time went.
#[derive(Debug, Clone, PartialEq)]
pub struct Done<A> {
    /// What the worker said.
    pub answer: A,
    /// For spans and logs.
    pub timings: Timings,
}

/// Where a job's time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// From the call to the start of the batch: queue, batch delay and gate.
    pub queue: Duration,
    /// The batch's run, shared by all its jobs.
    pub compute: Duration,
    /// What the batch cost in all; the job's own cost if it was alone.
    pub batch_cost: usize,
}

/// A handle to an engine. Dropping the last one ends its thread once the queue is empty.
pub struct Engine<J, A> {
    queue: SyncSender<Envelope<J, A>>,
    shared: Arc<Shared>,
}

struct Shared {
    config: EngineConfig,
    /// Mean compute time of a job in microseconds, as an exponential average. The engine thread
    /// writes it, callers that are turned away read it.
    job_micros: AtomicU64,
}

struct Envelope<J, A> {
    job: J,
    answer: oneshot::Sender<Result<Done<A>>>,
    queued_at: Instant,
    span: Span,
}

impl<J, A> Clone for Engine<J, A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<J: Send + 'static, A: Send + 'static> Engine<J, A> {
    /// Starts the thread, builds the worker on it (inside the gate: loading and warming are heavy
    /// steps) and returns once it can take jobs, or with the reason why it cannot.
    pub async fn start<W, F>(config: EngineConfig, gate: Gate, build: F) -> Result<Self>
    where
        W: Worker<Job = J, Answer = A>,
        F: FnOnce() -> Result<W> + Send + 'static,
    {
        let (queue, jobs) = mpsc::sync_channel(config.queue_capacity);
        let (report, built) = oneshot::channel();
        let shared = Arc::new(Shared { config, job_micros: AtomicU64::new(0) });
        let on_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(shared.config.name.chars().take(15).collect())
            .spawn(move || {
                let worker = {
                    let _permit = gate.enter(Priority::Interactive);
                    catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
                };
                match worker {
                    Ok(worker) => {
                        // A caller that has stopped waiting drops the queue, which ends the loop.
                        report.send(Ok(())).ok();
                        thread::serve(worker, jobs, &gate, &on_thread);
                    }
                    Err(error) => {
                        report.send(Err(error)).ok();
                    }
                }
            })
            .map_err(Error::unexpected)?;
        built.await.map_err(Error::unexpected)??;
        Ok(Self { queue, shared })
    }

    /// Queues a job and waits for its answer. A full queue is an error at once, never a wait. Dropping
    /// the future withdraws the job if its batch has not begun.
    pub async fn submit(&self, job: J) -> Result<Done<A>> {
        let (answer, answered) = oneshot::channel();
        let envelope = Envelope { job, answer, queued_at: Instant::now(), span: Span::current() };
        match self.queue.try_send(envelope) {
            Ok(()) => answered.await.map_err(|_| self.ended())?,
            Err(TrySendError::Full(_)) => Err(self.full()),
            Err(TrySendError::Disconnected(_)) => Err(self.ended()),
        }
    }

    /// As configured.
    pub fn config(&self) -> &EngineConfig {
        &self.shared.config
    }

    fn full(&self) -> Error {
        metrics().engine_refused(&self.shared.config.name);
        let queue_micros = self.shared.job_micros.load(Ordering::Relaxed) * self.shared.config.queue_capacity as u64;
        // Half a queue later there is room; the bounds keep a first guess and an outlier sensible.
        let retry_after_ms = (queue_micros / 2_000).clamp(100, 10_000);
        Error::QueueFull { engine: self.shared.config.name.clone(), retry_after_ms }
    }

    fn ended(&self) -> Error {
        Error::unexpected(format!("the {} engine has ended", self.shared.config.name))
    }
}

impl Shared {
    fn learn(&self, compute: Duration, job_count: usize) {
        let sample = compute.as_micros() as u64 / job_count as u64;
        let mean = self.job_micros.load(Ordering::Relaxed);
        let next = if mean == 0 { sample } else { (3 * mean + sample) / 4 };
        self.job_micros.store(next, Ordering::Relaxed);
    }
}

/// A caught panic as an error, with its own words for the log.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::Unexpected(panic_words(panic))
}

fn panic_words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", words.unwrap_or("without words"))
}

#[cfg(test)]
mod tests;
