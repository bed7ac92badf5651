//! One OS thread owns one model: a bounded queue in front, jobs of several callers in one batch.
//! What a model is and what a job means is the worker's affair; this file knows neither.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use domain::{Error, Result};
use tokio::sync::oneshot;
use tracing::{Span, info_span};

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
        thread::Builder::new()
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
                        serve(worker, jobs, &gate, &on_thread);
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

/// The engine thread's loop: ends when all handles are gone and the queue is empty.
fn serve<W: Worker>(
    mut worker: W,
    jobs: mpsc::Receiver<Envelope<W::Job, W::Answer>>,
    gate: &Gate,
    shared: &Shared,
) {
    let config = &shared.config;
    let mut left_over = None;
    while let Some(first) = left_over.take().or_else(|| jobs.recv().ok()) {
        let mut batch = Batch::new(config.batch_cost);
        left_over = batch.push(&worker, first);
        let give_up_at = batch.started_at + config.batch_delay;
        while left_over.is_none() && !batch.is_full() {
            let patience = give_up_at.saturating_duration_since(Instant::now());
            match jobs.recv_timeout(patience) {
                Ok(next) => left_over = batch.push(&worker, next),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let _permit = gate.enter(Priority::Interactive);
        // Waiting for the gate may have taken long: who has come meanwhile joins, who has left is dropped.
        batch.prune(&worker);
        while left_over.is_none() && !batch.is_full() {
            match jobs.try_recv() {
                Ok(next) => left_over = batch.push(&worker, next),
                Err(_) => break,
            }
        }
        if !batch.envelopes.is_empty() {
            run(&mut worker, batch, shared);
        }
    }
}

fn run<W: Worker>(worker: &mut W, batch: Batch<W::Job, W::Answer>, shared: &Shared) {
    let (job_count, batch_cost) = (batch.envelopes.len(), batch.cost);
    let parent = batch.envelopes.first().map_or_else(Span::none, |first| first.span.clone());
    let span = info_span!(parent: &parent, "engine.run", engine.name = shared.config.name, job_count, batch_cost);
    for companion in batch.envelopes.iter().skip(1) {
        span.follows_from(&companion.span);
    }
    let (jobs, callers): (Vec<_>, Vec<_>) = batch
        .envelopes
        .into_iter()
        .map(|envelope| (envelope.job, (envelope.answer, envelope.queued_at, envelope.span)))
        .unzip();
    let started_at = Instant::now();
    let answers = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| worker.run(jobs))));
    let compute = started_at.elapsed();
    shared.learn(compute, job_count);
    metrics().engine_ran(&shared.config.name, compute, batch_cost);
    let mut answers = match answers {
        Ok(answers) if answers.len() == job_count => answers.into_iter(),
        Ok(answers) => repeat(format!("{} answers to {job_count} jobs", answers.len()), job_count),
        Err(panic) => repeat(panic_words(panic.as_ref()), job_count),
    };
    for (caller, queued_at, span) in callers {
        let timings = Timings { queue: started_at.saturating_duration_since(queued_at), compute, batch_cost };
        metrics().engine_waited(&shared.config.name, timings.queue);
        let answer = answers.next().unwrap_or_else(|| Err(Error::unexpected("a job without an answer")));
        // The caller may have left during the run; then nobody is there to be told.
        caller.send(answer.map(|answer| Done { answer, timings })).ok();
        drop(span);
    }
}

fn repeat<A>(cause: String, count: usize) -> std::vec::IntoIter<Result<A>> {
    let answers: Vec<_> = (0..count).map(|_| Err(Error::Unexpected(cause.clone()))).collect();
    answers.into_iter()
}

/// A caught panic as an error, with its own words for the log.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::Unexpected(panic_words(panic))
}

fn panic_words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", words.unwrap_or("without words"))
}

impl Shared {
    fn learn(&self, compute: Duration, job_count: usize) {
        let sample = compute.as_micros() as u64 / job_count as u64;
        let mean = self.job_micros.load(Ordering::Relaxed);
        let next = if mean == 0 { sample } else { (3 * mean + sample) / 4 };
        self.job_micros.store(next, Ordering::Relaxed);
    }
}

struct Batch<J, A> {
    envelopes: Vec<Envelope<J, A>>,
    cost: usize,
    cost_limit: usize,
    started_at: Instant,
}

impl<J: Send + 'static, A: Send + 'static> Batch<J, A> {
    fn new(cost_limit: usize) -> Self {
        Self { envelopes: Vec::new(), cost: 0, cost_limit, started_at: Instant::now() }
    }

    fn is_full(&self) -> bool {
        self.cost >= self.cost_limit
    }

    /// Takes a job whose caller still waits; gives it back if it belongs to the next batch.
    fn push<W: Worker<Job = J, Answer = A>>(
        &mut self,
        worker: &W,
        envelope: Envelope<J, A>,
    ) -> Option<Envelope<J, A>> {
        if envelope.answer.is_closed() {
            return None;
        }
        let cost = worker.cost(&envelope.job);
        if !self.envelopes.is_empty() && self.cost + cost > self.cost_limit {
            return Some(envelope);
        }
        self.cost += cost;
        self.envelopes.push(envelope);
        None
    }

    /// Drops the jobs of callers that have left.
    fn prune<W: Worker<Job = J, Answer = A>>(&mut self, worker: &W) {
        self.envelopes.retain(|envelope| !envelope.answer.is_closed());
        self.cost = self.envelopes.iter().map(|envelope| worker.cost(&envelope.job)).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Doubles numbers, notes its batches, panics at 13 and forgets an answer at 14.
    struct Doubler {
        batches: Arc<Mutex<Vec<Vec<u32>>>>,
    }

    impl Worker for Doubler {
        type Job = u32;
        type Answer = u32;

        fn cost(&self, job: &u32) -> usize {
            *job as usize
        }

        fn run(&mut self, jobs: Vec<u32>) -> Vec<Result<u32>> {
            assert!(!jobs.contains(&13), "unlucky");
            self.batches.lock().unwrap().push(jobs.clone());
            jobs.iter().filter(|&&job| job != 14).map(|job| Ok(job * 2)).collect()
        }
    }

    type Batches = Arc<Mutex<Vec<Vec<u32>>>>;

    async fn doubler(config: EngineConfig, gate: &Gate) -> (Engine<u32, u32>, Batches) {
        let batches = Batches::default();
        let on_thread = Arc::clone(&batches);
        let engine = Engine::start(config, gate.clone(), move || Ok(Doubler { batches: on_thread })).await;
        (engine.unwrap(), batches)
    }

    /// Submits on a task of its own and returns once the engine's queue has it.
    async fn submit(engine: &Engine<u32, u32>, job: u32) -> tokio::task::JoinHandle<Result<Done<u32>>> {
        let engine = engine.clone();
        let (queued, is_queued) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut answered = std::pin::pin!(engine.submit(job));
            // The first poll puts the job into the queue.
            let first = futures::poll!(&mut answered);
            queued.send(()).unwrap();
            match first {
                std::task::Poll::Ready(outcome) => outcome,
                std::task::Poll::Pending => answered.await,
            }
        });
        is_queued.await.unwrap();
        task
    }

    #[tokio::test]
    async fn jobs_that_wait_together_are_answered_in_batches_of_bounded_cost() {
        let gate = Gate::new();
        let (engine, batches) = doubler(EngineConfig::new("doubler", 10), &gate).await;
        let permit = gate.enter(Priority::Interactive);
        let mut tasks = Vec::new();
        for job in [4, 5, 3, 20, 1] {
            tasks.push(submit(&engine, job).await);
        }
        drop(permit);
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap().unwrap());
        }
        assert_eq!(*batches.lock().unwrap(), [vec![4, 5], vec![3], vec![20], vec![1]]);
        assert_eq!(answers.iter().map(|done| done.answer).collect::<Vec<_>>(), [8, 10, 6, 40, 2]);
        assert_eq!(answers.iter().map(|done| done.timings.batch_cost).collect::<Vec<_>>(), [9, 9, 3, 20, 1]);
    }

    #[tokio::test]
    async fn a_batch_waits_for_company_no_longer_than_its_delay() {
        let config = EngineConfig { batch_delay: Duration::from_secs(3_600), ..EngineConfig::new("patient", 10) };
        let (engine, batches) = doubler(config, &Gate::new()).await;
        let (first, second) = tokio::join!(engine.submit(4), engine.submit(6));
        assert_eq!((first.unwrap().answer, second.unwrap().answer), (8, 12));
        assert_eq!(*batches.lock().unwrap(), [vec![4, 6]]);
        let config = EngineConfig { batch_delay: Duration::from_millis(1), ..EngineConfig::new("impatient", 10) };
        let (engine, _) = doubler(config, &Gate::new()).await;
        assert_eq!(engine.submit(4).await.unwrap().answer, 8);
    }

    #[tokio::test]
    async fn a_full_queue_is_an_error_at_once() {
        let gate = Gate::new();
        let config = EngineConfig { queue_capacity: 2, ..EngineConfig::new("doubler", 1) };
        let (engine, _) = doubler(config, &gate).await;
        let permit = gate.enter(Priority::Interactive);
        let first = submit(&engine, 1).await;
        while gate.waiting_count() == 0 {
            tokio::task::yield_now().await;
        }
        let waiting = [submit(&engine, 2).await, submit(&engine, 3).await];
        let Err(Error::QueueFull { engine: name, retry_after_ms }) = engine.submit(4).await else {
            panic!("a fourth job was taken")
        };
        assert_eq!(name, "doubler");
        assert!((100..=10_000).contains(&retry_after_ms));
        drop(permit);
        assert_eq!(first.await.unwrap().unwrap().answer, 2);
        for task in waiting {
            assert!(task.await.unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn a_caller_that_left_costs_nothing() {
        let gate = Gate::new();
        let (engine, batches) = doubler(EngineConfig::new("doubler", 1), &gate).await;
        let permit = gate.enter(Priority::Interactive);
        let (at_the_gate, in_the_queue) = (submit(&engine, 1).await, submit(&engine, 2).await);
        for task in [at_the_gate, in_the_queue] {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        let stays = submit(&engine, 3).await;
        drop(permit);
        assert_eq!(stays.await.unwrap().unwrap().answer, 6);
        assert_eq!(*batches.lock().unwrap(), [vec![3]]);
    }

    #[tokio::test]
    async fn a_panic_or_a_missing_answer_is_unexpected_and_the_engine_goes_on() {
        let (engine, _) = doubler(EngineConfig::new("doubler", 1), &Gate::new()).await;
        assert_eq!(engine.submit(13).await, Err(Error::unexpected("panic: unlucky")));
        assert_eq!(engine.submit(14).await, Err(Error::unexpected("0 answers to 1 jobs")));
        assert_eq!(engine.submit(15).await.unwrap().answer, 30);
    }

    #[tokio::test]
    async fn an_engine_whose_worker_cannot_be_built_says_why() {
        let config = EngineConfig::new("broken", 1);
        let missing = Error::NotFound { kind: "TEACHER", resource: "teachers/none".into() };
        let told = missing.clone();
        let outcome = Engine::start::<Doubler, _>(config.clone(), Gate::new(), move || Err(told)).await;
        assert_eq!(outcome.err(), Some(missing));
        let outcome = Engine::start::<Doubler, _>(config, Gate::new(), || panic!("no weights")).await;
        assert_eq!(outcome.err(), Some(Error::unexpected("panic: no weights")));
    }

    #[tokio::test]
    async fn the_thread_ends_with_its_last_handle() {
        let (engine, batches) = doubler(EngineConfig::new("doubler", 1), &Gate::new()).await;
        let twin = engine.clone();
        drop(engine);
        assert_eq!(twin.submit(1).await.unwrap().answer, 2);
        drop(twin);
        while Arc::strong_count(&batches) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
