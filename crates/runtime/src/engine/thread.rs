//! The engine's thread: forms batches out of the queue, prunes callers that have left, passes the gate,
//! runs the worker and tells everybody where the time went.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, RecvTimeoutError},
    time::Instant,
};

use domain::{Error, Result};
use tracing::{Span, info_span};

use super::{Done, Envelope, Shared, Timings, Worker, panic_words};
use crate::{
    gate::{Gate, Priority},
    metrics::metrics,
};

/// The engine thread's loop: ends when all handles are gone and the queue is empty.
pub(super) fn serve<W: Worker>(
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
        if batch.envelopes.is_empty() {
            continue;
        }
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
    let apart = batch.envelopes.into_iter().map(|envelope| (envelope.job, (envelope.answer, envelope.queued_at)));
    let (jobs, callers): (Vec<_>, Vec<_>) = apart.unzip();
    let started_at = Instant::now();
    let answers = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| worker.run(jobs))));
    let compute = started_at.elapsed();
    // Spans close before their callers are told: a caller's trace is then complete.
    drop((span, parent));
    shared.learn(compute, job_count);
    metrics().engine_ran(&shared.config.name, compute, batch_cost);
    let mut answers = match answers {
        Ok(answers) if answers.len() == job_count => answers.into_iter(),
        Ok(answers) => repeat(format!("{} answers to {job_count} jobs", answers.len()), job_count),
        Err(panic) => repeat(panic_words(panic.as_ref()), job_count),
    };
    for (caller, queued_at) in callers {
        let timings = Timings { queue: started_at.saturating_duration_since(queued_at), compute, batch_cost };
        metrics().engine_waited(&shared.config.name, timings.queue);
        let answer = answers.next().unwrap_or_else(|| Err(Error::unexpected("a job without an answer")));
        // The caller may have left during the run; then nobody is there to be told.
        caller.send(answer.map(|answer| Done { answer, timings })).ok();
    }
}

fn repeat<A>(cause: String, count: usize) -> std::vec::IntoIter<Result<A>> {
    let answers: Vec<_> = (0..count).map(|_| Err(Error::Unexpected(cause.clone()))).collect();
    answers.into_iter()
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
    fn push<W: Worker<Job = J, Answer = A>>(&mut self, worker: &W, envelope: Envelope<J, A>) -> Option<Envelope<J, A>> {
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
