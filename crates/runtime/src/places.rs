//! A bounded number of places, shared out fairly between callers: who takes none is refused at once, and
//! nobody can take them all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{call::Caller, engine::PLACES_PER_FREE_ONE};

/// So many places. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub struct Places {
    capacity: usize,
    /// Places of each caller that has any. Written by work that comes and goes.
    taken: Arc<Mutex<HashMap<Caller, usize>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    caller: Caller,
}

impl Places {
    /// So many, all free.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, taken: Arc::default() }
    }

    /// A place for a caller that has not more than its share: three for each one that is free.
    pub fn take(&self, caller: &Caller) -> Option<Place> {
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
