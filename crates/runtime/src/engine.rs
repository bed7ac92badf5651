//! One OS thread owns one model: a bounded queue in front, in which callers take turns, and jobs of several
//! callers in one batch. What a model is and what a job means is the worker's affair.

mod queue;
mod thread;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{Error, Result};
use tokio::sync::oneshot;
use tracing::Span;

pub(crate) use self::queue::PLACES_PER_FREE_ONE;
use self::queue::{FairQueue, Refused};
use crate::{
    call::{Caller, Context},
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
    /// Jobs that may wait, those whose batch waits for the gate included. One more is answered `QueueFull` at
    /// once, and so is a caller that holds three times as many places as are free: alone it gets three
    /// quarters of them.
    pub queue_capacity: usize,
    /// A batch ends before the job that would make it dearer than this. A single job may be dearer and
    /// runs alone; split long work into jobs of at most this cost, so that a caller who leaves frees
    /// the engine within one batch.
    pub batch_cost: usize,
    /// How long a batch that is not full waits for company; zero takes what is there.
    pub batch_delay: Duration,
}

/// What an operator may set of every engine of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct QueueConfig {
    /// Jobs that may wait for a model; one more is answered RESOURCE_EXHAUSTED at once. A job holds at most
    /// 1 MiB of pixels.
    #[arg(
        long,
        env = "DEEPER_QUEUE_CAPACITY",
        default_value_t = 128,
        value_parser = clap::value_parser!(u16).range(1..=4_096),
    )]
    pub queue_capacity: u16,

    /// Microseconds that a batch that is not full waits for company. With 0, jobs gather only while the model
    /// is busy.
    #[arg(
        long,
        env = "DEEPER_BATCH_DELAY_US",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000),
    )]
    pub batch_delay_us: u32,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { queue_capacity: 128, batch_delay_us: 0 }
    }
}

impl EngineConfig {
    /// 128 waiting jobs and no delay: jobs gather by themselves while the gate is busy.
    pub fn new(name: impl Into<String>, batch_cost: usize) -> Self {
        Self::queued(name, batch_cost, QueueConfig::default())
    }

    /// With the queue that the operator has set.
    pub fn queued(name: impl Into<String>, batch_cost: usize, queue: QueueConfig) -> Self {
        Self {
            name: name.into(),
            queue_capacity: queue.queue_capacity.into(),
            batch_cost,
            batch_delay: Duration::from_micros(queue.batch_delay_us.into()),
        }
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
pub struct Engine<J: Send + 'static, A: Send + 'static> {
    handle: Arc<Handle<J, A>>,
}

/// What all handles share. Its end closes the queue.
struct Handle<J: Send + 'static, A: Send + 'static>(Arc<Shared<J, A>>);

impl<J: Send + 'static, A: Send + 'static> Drop for Handle<J, A> {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

/// What handles and thread share.
struct Shared<J, A> {
    config: EngineConfig,
    queue: FairQueue<J, A>,
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

impl<J: Send + 'static, A: Send + 'static> Clone for Engine<J, A> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
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
        let (report, built) = oneshot::channel();
        let queue = FairQueue::new(config.queue_capacity, config.batch_cost);
        let shared = Arc::new(Shared { config, queue, job_micros: AtomicU64::new(0) });
        // A caller that stops waiting drops it, which ends the thread once it is built.
        let handle = Arc::new(Handle(Arc::clone(&shared)));
        std::thread::Builder::new()
            .name(shared.config.name.chars().take(15).collect())
            .spawn(move || {
                let _end = End(&shared);
                let worker = {
                    let _permit = gate.enter(Priority::Interactive);
                    catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
                };
                match worker {
                    Ok(worker) => {
                        report.send(Ok(())).ok();
                        thread::serve(worker, &gate, &shared);
                    }
                    Err(error) => {
                        report.send(Err(error)).ok();
                    }
                }
            })
            .map_err(Error::unexpected)?;
        built.await.map_err(Error::unexpected)??;
        Ok(Self { handle })
    }

    /// Queues a job for the caller of the current [`Context`] and waits for its answer. A full queue is an
    /// error at once, never a wait. Dropping the future withdraws the job if its batch has not begun.
    pub async fn submit(&self, job: J) -> Result<Done<A>> {
        self.submit_for(&Context::current().caller, job).await
    }

    /// As [`Engine::submit`], for this caller.
    pub async fn submit_for(&self, caller: &Caller, job: J) -> Result<Done<A>> {
        let (answer, answered) = oneshot::channel();
        let envelope = Envelope { job, answer, queued_at: Instant::now(), span: Span::current() };
        match self.shared().queue.push(caller, envelope) {
            Ok(waiting_count) => {
                metrics().engine_queue_is(&self.config().name, waiting_count);
                answered.await.map_err(|_| self.ended())?
            }
            Err(Refused::Full) => Err(self.full()),
            Err(Refused::Ended) => Err(self.ended()),
        }
    }

    fn shared(&self) -> &Shared<J, A> {
        &self.handle.0
    }

    /// As configured.
    pub fn config(&self) -> &EngineConfig {
        &self.shared().config
    }

    fn full(&self) -> Error {
        let shared = self.shared();
        metrics().engine_refused(&shared.config.name);
        let queue_micros = shared.job_micros.load(Ordering::Relaxed) * shared.config.queue_capacity as u64;
        // Half a queue later there is room; the bounds keep a first guess and an outlier sensible.
        let retry_after_ms = (queue_micros / 2_000).clamp(100, 10_000);
        Error::QueueFull { engine: shared.config.name.clone(), retry_after_ms }
    }

    fn ended(&self) -> Error {
        Error::unexpected(format!("the {} engine has ended", self.config().name))
    }
}

/// However the thread ends, nobody waits for it in vain.
struct End<'a, J: Send + 'static, A: Send + 'static>(&'a Shared<J, A>);

impl<J: Send + 'static, A: Send + 'static> Drop for End<'_, J, A> {
    fn drop(&mut self) {
        self.0.queue.abandon();
        // A gauge keeps its last value.
        metrics().engine_queue_is(&self.0.config.name, 0);
    }
}

impl<J, A> Shared<J, A> {
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
