//! One machine's compute is one shared resource: the gate admits one heavy step at a time.
//! Interactive work goes before training; within a priority, first come, first served.

use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

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
    /// Signalled whenever the front of the queue may have changed: a permit or a place was given up.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    occupied: bool,
    next_ticket: u64,
    /// Sorted, so that the first element is the one to admit.
    waiting: BTreeSet<(Priority, u64)>,
}

/// The right to compute, until it is dropped (also by a panic).
#[derive(Debug)]
#[must_use = "the step is over as soon as the permit is dropped"]
pub struct Permit {
    shared: Arc<Shared>,
}

impl Gate {
    /// A gate that nobody has passed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Blocks this thread until it may compute. For engine threads, never for async tasks.
    pub fn enter(&self, priority: Priority) -> Permit {
        let (mut state, place) = self.queue(priority);
        while !state.admits(place) {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.admit(state, place)
    }

    /// As [`Gate::enter`], but gives up after `patience`.
    pub fn enter_within(&self, priority: Priority, patience: Duration) -> Option<Permit> {
        let give_up_at = Instant::now() + patience;
        let (mut state, place) = self.queue(priority);
        while !state.admits(place) {
            let left = give_up_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting.remove(&place);
                // Whoever stood behind this place may be the first one now.
                self.shared.changed.notify_all();
                return None;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(self.admit(state, place))
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

    fn queue(&self, priority: Priority) -> (MutexGuard<'_, State>, (Priority, u64)) {
        let mut state = self.shared.lock();
        let place = (priority, state.next_ticket);
        state.next_ticket += 1;
        state.waiting.insert(place);
        (state, place)
    }

    fn admit(&self, mut state: MutexGuard<'_, State>, place: (Priority, u64)) -> Permit {
        state.waiting.remove(&place);
        state.occupied = true;
        Permit { shared: Arc::clone(&self.shared) }
    }
}

impl State {
    fn admits(&self, place: (Priority, u64)) -> bool {
        !self.occupied && self.waiting.first() == Some(&place)
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
    fn who_gives_up_leaves_the_queue() {
        let gate = Gate::new();
        let permit = gate.enter(Priority::Training);
        assert!(gate.enter_within(Priority::Interactive, Duration::from_millis(1)).is_none());
        assert_eq!(gate.waiting_count(), 0);
        drop(permit);
        assert!(gate.enter_within(Priority::Training, Duration::ZERO).is_some());
    }
}
