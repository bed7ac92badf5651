//! Places for calls that wait for their first answer, shared out fairly. A call without one is refused before
//! its message is read: refusing is cheap, however many come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{call::Caller, engine::PLACES_PER_FREE_ONE};

/// The places of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    capacity: usize,
    /// Calls of each caller that has any. Written by calls that come and go.
    taken: Arc<Mutex<HashMap<Caller, usize>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    caller: Caller,
}

impl Places {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, taken: Arc::default() }
    }

    /// A place for a caller that has not more than its share: three for each one that is free.
    pub(super) fn take(&self, caller: &Caller) -> Option<Place> {
        let mut taken = self.lock();
        let free = self.capacity.saturating_sub(taken.values().sum());
        let own = taken.get(caller).copied().unwrap_or(0);
        if own >= PLACES_PER_FREE_ONE * free {
            return None;
        }
        taken.insert(caller.clone(), own + 1);
        Some(Place { places: self.clone(), caller: caller.clone() })
    }

    /// The counts are whole after every statement, so a panic elsewhere leaves nothing to repair.
    fn lock(&self) -> MutexGuard<'_, HashMap<Caller, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(own) = taken.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greedy_caller_leaves_a_place_for_others() {
        let places = Places::new(8);
        let (greedy, modest) = (Caller::new("greedy").unwrap(), Caller::new("modest").unwrap());
        let held: Vec<Place> = std::iter::from_fn(|| places.take(&greedy)).collect();
        assert_eq!(held.len(), 6);
        let one = places.take(&modest).unwrap();
        assert!(places.take(&modest).is_some() && places.take(&greedy).is_none());
        drop((held, one));
        assert!(places.lock().is_empty(), "nobody is remembered");
        assert!(places.take(&greedy).is_some());
    }
}
