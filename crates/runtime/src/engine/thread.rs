//! The engine's thread: waits for jobs, passes the gate, forms a batch of those whose turn it is, runs the
//! worker and tells everybody where the time went.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
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
pub(super) fn serve<W: Worker>(mut worker: W, gate: &Gate, shared: &Shared<W::Job, W::Answer>) {
    let config = &shared.config;
    while shared.queue.wait() {
        if !config.batch_delay.is_zero() {
            shared.queue.wait_for_company(&worker, config.batch_cost, Instant::now() + config.batch_delay);
        }
        let waits_from = Instant::now();
        let _permit = gate.enter(Priority::Interactive);
        metrics().engine_passed_gate(&config.name, waits_from.elapsed());
        // Only now, because waiting for the gate may have taken long: who has come meanwhile joins, who has
        // left is dropped.
        let (batch, waiting_count) = shared.queue.take(&worker, config.batch_cost);
        metrics().engine_queue_is(&config.name, waiting_count);
        if !batch.is_empty() {
            run(&mut worker, batch, shared);
        }
    }
}

fn run<W: Worker>(worker: &mut W, batch: Vec<Envelope<W::Job, W::Answer>>, shared: &Shared<W::Job, W::Answer>) {
    let job_count = batch.len();
    let batch_cost = batch.iter().map(|envelope| worker.cost(&envelope.job)).sum();
    let parent = batch.first().map_or_else(Span::none, |first| first.span.clone());
    let queue_ms = batch.iter().map(|envelope| envelope.queued_at.elapsed().as_millis() as u64).max();
    let span =
        info_span!(parent: &parent, "engine.run", engine.name = shared.config.name, job_count, batch_cost, queue_ms);
    for companion in batch.iter().skip(1) {
        span.follows_from(&companion.span);
    }
    let apart = batch.into_iter().map(|envelope| (envelope.job, (envelope.answer, envelope.queued_at)));
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
