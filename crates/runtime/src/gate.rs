//! One machine's compute is one shared resource: the gate admits one heavy step at a time.
//! Interactive work goes before training; within a priority callers take turns, each first come, first served.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::call::Caller;

/// Callers whose last turn is remembered.
const MAX_REMEMBERED: usize = 1_024;

/// A wait without an end is made of these.
const LONG: Duration = Duration::from_secs(60);

/// Who goes first when several wait. The order of the variants is the order of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits for the answer.
    Interactive,
    /// Goes on for minutes and yields after each step.
    Training,
}

/// A cheap handle to one process's compute. Every engine and every training of a process is given a
/// clone of the same gate. Two full-width computations side by side on a few cores cost several times
/// the CPU time of one after the other, so only waiting is overlapped, never computing.
///
/// A thread that holds a [`Permit`] must not enter again: it would wait for itself.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Signalled whenever who is next may have changed: a permit or a place was given up.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    occupied: bool,
    next_ticket: u64,
    /// By ticket: how urgent, and whose turn it takes. `None` is all engines together, which share themselves
    /// out between their callers.
    waiting: BTreeMap<u64, (Priority, Option<Caller>)>,
    admitted_count: u64,
    /// When each was last let in, counted in admissions; interactive ones alone.
    last_turns: HashMap<Option<Caller>, u64>,
}

/// The right to compute, until it is dropped (also by a panic).
#[derive(Debug)]
#[must_use = "the step is over as soon as the permit is dropped"]
pub struct Permit {
    shared: Arc<Shared>,
}

/// A place in front of the gate, kept until it is let in or dropped.
#[derive(Debug)]
pub struct Waiting {
    shared: Arc<Shared>,
    ticket: u64,
}

impl Gate {
    /// A gate that nobody has passed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Blocks this thread until it may compute. For engine threads, never for async tasks.
    pub fn enter(&self, priority: Priority) -> Permit {
        let waiting = self.line_up(priority, None);
        loop {
            if let Some(permit) = waiting.wait(LONG) {
                return permit;
            }
        }
    }

    /// As [`Gate::enter`], but gives up after `patience`.
    pub fn enter_within(&self, priority: Priority, patience: Duration) -> Option<Permit> {
        self.line_up(priority, None).wait(patience)
    }

    /// Takes a place for work of one caller: of those who wait, whoever had no turn for the longest time is
    /// next, so that many steps of one caller keep another one waiting for one of them.
    pub fn enter_for(&self, priority: Priority, caller: &Caller) -> Waiting {
        self.line_up(priority, Some(caller.clone()))
    }

    /// Closes the gate for good: waits for the step that computes now, at most for `patience`, and admits
    /// nobody afterwards. The last thing a process does: native libraries take themselves down at its
    /// exit, under whoever still computes. Whether the gate is closed.
    pub fn close(&self, patience: Duration) -> bool {
        let last = self.enter_within(Priority::Interactive, patience);
        let is_closed = last.is_some();
        std::mem::forget(last);
        is_closed
    }

    /// Steps that wait right now, the one that computes not counted.
    pub fn waiting_count(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    fn line_up(&self, priority: Priority, caller: Option<Caller>) -> Waiting {
        let mut state = self.shared.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(ticket, (priority, caller));
        Waiting { shared: Arc::clone(&self.shared), ticket }
    }
}

impl Waiting {
    /// Blocks this thread until it may compute, at most for `patience`; the place is kept for the next wait.
    /// Once let in, there is no place any more.
    pub fn wait(&self, patience: Duration) -> Option<Permit> {
        let give_up_at = Instant::now() + patience;
        let mut state = self.shared.lock();
        while !state.admits(self.ticket) {
            let left = give_up_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.admit(self.ticket);
        Some(Permit { shared: Arc::clone(&self.shared) })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.shared.lock().waiting.remove(&self.ticket).is_some() {
            // Whoever stood behind this place may be the next one now.
            self.shared.changed.notify_all();
        }
    }
}

impl State {
    fn admits(&self, ticket: u64) -> bool {
        !self.occupied && self.next() == Some(ticket)
    }

    /// A look at all who wait: a few engines beside 32 fits, or 32 uploads, at most.
    fn next(&self) -> Option<u64> {
        let rank = |(ticket, (priority, caller)): &(&u64, &(Priority, Option<Caller>))| {
            (*priority, self.last_turns.get(caller).copied().unwrap_or(0), **ticket)
        };
        self.waiting.iter().min_by_key(rank).map(|(ticket, _)| *ticket)
    }

    fn admit(&mut self, ticket: u64) {
        self.occupied = true;
        let Some((Priority::Interactive, caller)) = self.waiting.remove(&ticket) else { return };
        self.admitted_count += 1;
        self.last_turns.insert(caller, self.admitted_count);
        if self.last_turns.len() > MAX_REMEMBERED {
            // Whoever had no turn for so many admissions is as good as new.
            let oldest = self.admitted_count - (MAX_REMEMBERED / 2) as u64;
            self.last_turns.retain(|_, turn| *turn >= oldest);
        }
    }
}

impl Shared {
    /// The state is whole after every statement, so a panic elsewhere leaves nothing to repair.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.lock().occupied = false;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    /// Queues a thread and returns once it stands in the queue.
    fn queue(gate: &Gate, priority: Priority, name: &'static str, order: &mpsc::Sender<&'static str>) {
        let before = gate.waiting_count();
        let (queued, order) = (gate.clone(), order.clone());
        thread::spawn(move || {
            let _permit = queued.enter(priority);
            order.send(name).unwrap();
        });
        while gate.waiting_count() == before {
            thread::yield_now();
        }
    }

    #[test]
    fn interactive_goes_before_training_and_each_in_order_of_arrival() {
        let gate = Gate::new();
        let (order, admitted) = mpsc::channel();
        let permit = gate.enter(Priority::Training);
        queue(&gate, Priority::Training, "training 1", &order);
        queue(&gate, Priority::Training, "training 2", &order);
        queue(&gate, Priority::Interactive, "interactive 1", &order);
        queue(&gate, Priority::Interactive, "interactive 2", &order);
        drop((permit, order));
        let admitted: Vec<_> = admitted.iter().collect();
        assert_eq!(admitted, ["interactive 1", "interactive 2", "training 1", "training 2"]);
    }

    #[test]
    fn an_interactive_step_waits_for_at_most_one_training_step() {
        let gate = Gate::new();
        let (order, admitted) = mpsc::channel();
        let mut steps_before = None;
        let permit = gate.enter(Priority::Training);
        queue(&gate, Priority::Interactive, "interactive", &order);
        drop(permit);
        for step in 0..100 {
            let _permit = gate.enter(Priority::Training);
            if admitted.try_recv().is_ok() {
                steps_before = Some(step);
                break;
            }
        }
        assert_eq!(steps_before, Some(0));
    }

    #[test]
    fn one_step_computes_at_a_time() {
        let gate = Gate::new();
        let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (gate, inside) = (gate.clone(), Arc::clone(&inside));
                thread::spawn(move || {
                    for _ in 0..50 {
                        let _permit = gate.enter(Priority::Interactive);
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_panic_inside_gives_the_permit_back() {
        let gate = Gate::new();
        let inside = gate.clone();
        let panicked = thread::spawn(move || {
            let _permit = inside.enter(Priority::Interactive);
            panic!("a step fails");
        });
        assert!(panicked.join().is_err());
        assert!(gate.enter_within(Priority::Training, Duration::from_secs(5)).is_some());
    }

    #[test]
    fn a_closed_gate_admits_nobody() {
        let gate = Gate::new();
        let permit = gate.enter(Priority::Interactive);
        assert!(!gate.close(Duration::from_millis(1)));
        drop(permit);
        assert!(gate.close(Duration::from_secs(5)));
        assert!(gate.enter_within(Priority::Interactive, Duration::from_millis(1)).is_none());
    }

    #[test]
    fn many_steps_of_one_caller_keep_another_waiting_for_one_of_them() {
        let gate = Gate::new();
        let (order, admitted) = mpsc::channel();
        let (greedy, modest) = (Caller::new("greedy").unwrap(), Caller::new("modest").unwrap());
        let permit = gate.enter(Priority::Interactive);
        let mut threads = Vec::new();
        let callers = [("greedy", 5), ("modest", 2), ("engine", 2)];
        for (name, count) in callers {
            for _ in 0..count {
                let (gate, order) = (gate.clone(), order.clone());
                let waiting = match name {
                    "greedy" => gate.enter_for(Priority::Interactive, &greedy),
                    "modest" => gate.enter_for(Priority::Interactive, &modest),
                    _ => gate.line_up(Priority::Interactive, None),
                };
                threads.push(thread::spawn(move || {
                    // A look now and then whether it is still worth it costs no place.
                    let permit = loop {
                        if let Some(permit) = waiting.wait(Duration::from_micros(100)) {
                            break permit;
                        }
                    };
                    order.send(name).unwrap();
                    drop(permit);
                }));
            }
        }
        drop((permit, order));
        let admitted: Vec<_> = admitted.iter().collect();
        // The engines had the turn before.
        let expected = ["greedy", "modest", "engine", "greedy", "modest", "engine", "greedy", "greedy", "greedy"];
        assert_eq!(admitted, expected);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(gate.waiting_count(), 0);
    }

    #[test]
    fn who_gives_up_leaves_the_queue() {
        let gate = Gate::new();
        let permit = gate.enter(Priority::Training);
        assert!(gate.enter_within(Priority::Interactive, Duration::from_millis(1)).is_none());
        assert_eq!(gate.waiting_count(), 0);
        drop(permit);
        assert!(gate.enter_within(Priority::Training, Duration::ZERO).is_some());
    }
}
