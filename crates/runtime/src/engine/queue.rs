//! The bounded queue in front of an engine. Callers take turns: whoever has had the least of the engine so
//! far is next, so that nobody waits behind another one's backlog. Who asks seldom goes ahead of who asks all the
//! time, by a few batches and no more.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Envelope, Worker};
use crate::call::Caller;

/// A caller may hold three places for each one that is free: three quarters of the queue alone, and however
/// many callers press, there is a place for one more.
pub(crate) const PLACES_PER_FREE_ONE: usize = 3;
/// A caller that was away may go first for so many batches: one explanation of the usual size. With equal turns
/// alone it would take twice as long beside one that never stops, and a little more.
const CREDIT_BATCHES: usize = 8;
/// Callers that are remembered although nothing of theirs waits.
const MAX_REMEMBERED: usize = 4_096;

/// Jobs that wait.
pub(super) struct FairQueue<J, A> {
    capacity: usize,
    /// [`CREDIT_BATCHES`] in the unit of [`Worker::cost`].
    credit: u64,
    state: Mutex<State<J, A>>,
    /// Wakes the engine's thread: a job has come, or the last handle has gone.
    arrived: Condvar,
}

struct State<J, A> {
    lines: HashMap<Caller, Line<J, A>>,
    /// Jobs in all lines.
    waiting_count: usize,
    next_arrival: u64,
    /// How much the caller that was served last had had before that: who comes new begins its credit below, and
    /// has no claim beyond that for the time it was away.
    clock: u64,
    is_closed: bool,
}

struct Line<J, A> {
    /// With the number of each arrival, first come first.
    jobs: VecDeque<(u64, Envelope<J, A>)>,
    /// How much of the engine it has had, in the unit of [`Worker::cost`].
    served: u64,
}

/// Why a job was not queued.
pub(super) enum Refused {
    /// No place for this caller.
    Full,
    /// The thread has ended.
    Ended,
}

impl<J: Send + 'static, A: Send + 'static> FairQueue<J, A> {
    pub(super) fn new(capacity: usize, batch_cost: usize) -> Self {
        let state = State { lines: HashMap::new(), waiting_count: 0, next_arrival: 0, clock: 0, is_closed: false };
        let credit = (CREDIT_BATCHES * batch_cost) as u64;
        Self { capacity, credit, state: Mutex::new(state), arrived: Condvar::new() }
    }

    /// Queues a job, at once or not at all. The number of jobs that wait now.
    pub(super) fn push(&self, caller: &Caller, envelope: Envelope<J, A>) -> Result<usize, Refused> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Refused::Ended);
        }
        if !state.has_place(caller, self.capacity) {
            state.prune();
            if !state.has_place(caller, self.capacity) {
                return Err(Refused::Full);
            }
        }
        state.push(caller, envelope, self.credit);
        let count = state.waiting_count;
        drop(state);
        self.arrived.notify_one();
        Ok(count)
    }

    /// Waits for a job; `false` once all handles are gone and nothing waits.
    pub(super) fn wait(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.waiting_count > 0 {
                return true;
            }
            if state.is_closed {
                return false;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until what is queued fills a batch, at most until `give_up_at`.
    pub(super) fn wait_for_company<W>(&self, worker: &W, batch_cost: usize, give_up_at: Instant)
    where
        W: Worker<Job = J, Answer = A>,
    {
        let mut state = self.lock();
        while !state.is_closed && state.cost(worker) < batch_cost {
            let patience = give_up_at.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                return;
            }
            state = self.arrived.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The jobs of the next batch: callers in turn, up to `batch_cost` or one dearer job. The number of jobs
    /// that wait now.
    pub(super) fn take<W>(&self, worker: &W, batch_cost: usize) -> (Vec<Envelope<J, A>>, usize)
    where
        W: Worker<Job = J, Answer = A>,
    {
        let mut state = self.lock();
        state.prune();
        let mut batch = Vec::new();
        let mut cost = 0;
        while cost < batch_cost
            && let Some(caller) = state.next_caller()
            && let Some(job_cost) = state.cost_of_first(&caller, worker)
        {
            if !batch.is_empty() && cost + job_cost > batch_cost {
                break;
            }
            cost += job_cost;
            batch.extend(state.pop(&caller, job_cost));
        }
        state.forget_idle(self.credit);
        (batch, state.waiting_count)
    }

    /// No more jobs will come.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_all();
    }

    /// The thread has ended: whoever still waits is told by the loss of its answer.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waiting_count = 0;
        state.lines.clear();
    }

    /// The state is whole after every method, so a panic elsewhere leaves nothing to repair.
    fn lock(&self) -> MutexGuard<'_, State<J, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J, A> State<J, A> {
    fn has_place(&self, caller: &Caller, capacity: usize) -> bool {
        let own = self.lines.get(caller).map_or(0, |line| line.jobs.len());
        own < PLACES_PER_FREE_ONE * capacity.saturating_sub(self.waiting_count)
    }

    fn push(&mut self, caller: &Caller, envelope: Envelope<J, A>, credit: u64) {
        let arrival = self.next_arrival;
        self.next_arrival += 1;
        self.waiting_count += 1;
        let least = self.clock.saturating_sub(credit);
        let new = || Line { jobs: VecDeque::new(), served: least };
        let line = self.lines.entry(caller.clone()).or_insert_with(new);
        if line.jobs.is_empty() {
            line.served = line.served.max(least);
        }
        line.jobs.push_back((arrival, envelope));
    }

    /// Drops the jobs of callers that have left.
    fn prune(&mut self) {
        self.waiting_count = 0;
        for line in self.lines.values_mut() {
            line.jobs.retain(|(_, envelope)| !envelope.answer.is_closed());
            self.waiting_count += line.jobs.len();
        }
    }

    /// Who has had the least; among equals, who has waited the longest.
    fn next_caller(&self) -> Option<Caller> {
        let waiting = self.lines.iter().filter_map(|(caller, line)| {
            let (arrival, _) = line.jobs.front()?;
            Some(((line.served, *arrival), caller))
        });
        waiting.min_by_key(|(rank, _)| *rank).map(|(_, caller)| caller.clone())
    }

    fn cost_of_first<W: Worker<Job = J>>(&self, caller: &Caller, worker: &W) -> Option<usize> {
        let (_, envelope) = self.lines.get(caller)?.jobs.front()?;
        Some(worker.cost(&envelope.job))
    }

    fn cost<W: Worker<Job = J>>(&self, worker: &W) -> usize {
        let jobs = self.lines.values().flat_map(|line| &line.jobs);
        jobs.map(|(_, envelope)| worker.cost(&envelope.job)).sum()
    }

    fn pop(&mut self, caller: &Caller, cost: usize) -> Option<Envelope<J, A>> {
        let line = self.lines.get_mut(caller)?;
        let (_, envelope) = line.jobs.pop_front()?;
        self.clock = self.clock.max(line.served);
        // A job that costs nothing takes a turn too.
        line.served += cost.max(1) as u64;
        self.waiting_count -= 1;
        Some(envelope)
    }

    /// Callers of whom nothing waits are remembered until their credit is whole again, or nobody waits: what one
    /// had while nobody else wanted it is no debt.
    fn forget_idle(&mut self, credit: u64) {
        let (least, is_idle) = (self.clock.saturating_sub(credit), self.waiting_count == 0);
        let is_crowded = self.lines.len() > MAX_REMEMBERED;
        self.lines.retain(|_, line| !line.jobs.is_empty() || !(is_idle || is_crowded || line.served <= least));
    }
}
