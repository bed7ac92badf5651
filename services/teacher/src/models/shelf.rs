//! The few teachers that are kept in memory: whoever was not asked for the longest makes room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::ResourceName;
use tokio::sync::OnceCell;

/// Filled by the first caller, awaited by the others; still empty if filling failed.
pub(super) type Cell<T> = Arc<OnceCell<Arc<T>>>;

/// At most `capacity` named things.
pub(super) struct Shelf<T> {
    capacity: usize,
    /// Least recently used first.
    slots: Mutex<Vec<(ResourceName, Cell<T>)>>,
}

impl<T> Shelf<T> {
    /// Room for at least one.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), slots: Mutex::default() }
    }

    /// The cell of this name, now the most recently used. Who is pushed out lives on for as long as a
    /// call holds it.
    pub(super) fn cell(&self, name: &ResourceName) -> Cell<T> {
        let mut slots = self.lock();
        let found = slots.iter().position(|(known, _)| known == name).map(|position| slots.remove(position));
        // A cell that could not be filled, and that nobody fills now, is no reason to push out another.
        slots.retain(|(_, cell)| cell.initialized() || Arc::strong_count(cell) > 1);
        let slot = found.unwrap_or_else(|| (name.clone(), Cell::default()));
        while slots.len() >= self.capacity {
            let (pushed_out, _) = slots.remove(0);
            tracing::info!(teacher.name = %pushed_out, "closed to make room");
        }
        let cell = Arc::clone(&slot.1);
        slots.push(slot);
        cell
    }

    /// What is filled, least recently used first.
    pub(super) fn filled(&self) -> Vec<(ResourceName, Arc<T>)> {
        self.lock().iter().filter_map(|(name, cell)| Some((name.clone(), Arc::clone(cell.get()?)))).collect()
    }

    /// Forgets a name, unless something else has come in its place.
    pub(super) fn take_down(&self, name: &ResourceName, thing: &Arc<T>) {
        let is_it = |cell: &Cell<T>| cell.get().is_some_and(|filled| Arc::ptr_eq(filled, thing));
        self.lock().retain(|(known, cell)| known != name || !is_it(cell));
    }

    /// Forgets a name.
    pub(super) fn remove(&self, name: &ResourceName) {
        self.lock().retain(|(known, _)| known != name);
    }

    /// The list is whole after every statement, so a panic elsewhere leaves nothing to repair.
    fn lock(&self) -> MutexGuard<'_, Vec<(ResourceName, Cell<T>)>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> ResourceName {
        ResourceName::new(ResourceName::TEACHER, &[id]).unwrap()
    }

    async fn fill(shelf: &Shelf<&'static str>, id: &'static str) -> Arc<&'static str> {
        Arc::clone(shelf.cell(&name(id)).get_or_init(async || Arc::new(id)).await)
    }

    #[tokio::test]
    async fn the_least_recently_used_makes_room() {
        let shelf = Shelf::new(2);
        for id in ["a", "b", "a", "c"] {
            fill(&shelf, id).await;
        }
        assert!(shelf.cell(&name("a")).initialized(), "asked for after b");
        assert!(shelf.cell(&name("c")).initialized());
        assert!(!shelf.cell(&name("b")).initialized());
    }

    #[tokio::test]
    async fn what_could_not_be_filled_pushes_nobody_out() {
        let shelf = Shelf::new(2);
        fill(&shelf, "a").await;
        let missing = shelf.cell(&name("missing"));
        assert_eq!(missing.get_or_try_init(async || Err("gone")).await, Err("gone"));
        drop(missing);
        fill(&shelf, "b").await;
        assert!(shelf.cell(&name("a")).initialized());
        shelf.remove(&name("a"));
        assert!(!shelf.cell(&name("a")).initialized());
    }

    #[tokio::test]
    async fn what_came_in_its_place_is_not_taken_down() {
        let shelf = Shelf::new(2);
        let old = fill(&shelf, "a").await;
        shelf.remove(&name("a"));
        let new = fill(&shelf, "a").await;
        shelf.take_down(&name("a"), &old);
        assert!(shelf.filled().iter().any(|(_, filled)| Arc::ptr_eq(filled, &new)));
        shelf.take_down(&name("a"), &new);
        assert!(shelf.filled().is_empty());
    }
}
