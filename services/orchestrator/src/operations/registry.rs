//! The operations in memory, by name and by age, and which of them the journal has yet to write.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use domain::{Error, Progress, ResourceName, Result};
use tokio::{sync::watch, time::Instant};

use super::{MAX_OPERATION_COUNT, Operation, handle::Ends};

/// Progress within a phase is written down this often, for the other replicas.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// One operation with those who follow it.
pub(super) struct Entry {
    /// Ascending with age: the larger, the newer.
    position: u64,
    state: watch::Sender<Operation>,
    ends: Ends,
    /// Whether somebody in this process works on it, or has ended it.
    has_owner: bool,
    /// When its record was last asked for.
    noted_at: Instant,
    /// Whether it was ever written down.
    is_recorded: bool,
}

impl Entry {
    pub(super) fn operation(&self) -> Operation {
        self.state.borrow().clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Operation> {
        self.state.subscribe()
    }

    pub(super) fn cancel(&self) {
        self.ends.cancelled.cancel();
    }

    pub(super) fn lose(&self) {
        self.ends.lost.cancel();
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.has_owner && !self.is_done()
    }

    pub(super) fn is_of(&self, creator: &str) -> bool {
        let state = self.state.borrow();
        !state.is_done() && state.creator == creator
    }

    /// Whether it runs or has ended at `since` or later.
    pub(super) fn is_recent(&self, since: i64) -> bool {
        self.state.borrow().end_time.is_none_or(|end_time| end_time >= since)
    }

    fn is_done(&self) -> bool {
        self.state.borrow().is_done()
    }
}

/// Guarded by one lock that is never held over an await.
pub(super) struct Registry {
    entries: HashMap<ResourceName, Entry>,
    by_position: BTreeMap<u64, ResourceName>,
    next_position: u64,
    /// Written here, taken by the journal: names whose record is older than memory.
    unwritten: BTreeSet<ResourceName>,
    /// What the journal is writing now.
    in_writing: BTreeSet<ResourceName>,
    /// Counts what was changed or written here, as against what was mirrored.
    pub(super) write_count: u64,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            by_position: BTreeMap::new(),
            next_position: 0,
            unwritten: BTreeSet::new(),
            in_writing: BTreeSet::new(),
            write_count: 0,
        }
    }

    pub(super) fn find(&self, name: &ResourceName) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Adds an operation that its caller owns. When all that are kept still run, the system is busy.
    pub(super) fn insert(&mut self, operation: Operation) -> Result<Ends> {
        if self.entries.contains_key(&operation.name) {
            return Err(Error::AlreadyExists { kind: "OPERATION", resource: operation.name.to_string() });
        }
        while self.entries.len() >= MAX_OPERATION_COUNT {
            let oldest_done = self.by_position.values().find(|name| self.entries.get(name).is_some_and(Entry::is_done));
            let Some(name) = oldest_done.cloned() else {
                return Err(Error::QueueFull { engine: "operations".to_owned(), retry_after_ms: 10_000 });
            };
            self.remove(&name);
        }
        self.write_count += 1;
        self.unwritten.insert(operation.name.clone());
        Ok(self.push(operation, true))
    }

    fn push(&mut self, operation: Operation, has_owner: bool) -> Ends {
        let (name, ends) = (operation.name.clone(), Ends::default());
        let position = self.next_position;
        self.next_position += 1;
        self.by_position.insert(position, name.clone());
        let state = watch::Sender::new(operation);
        let entry =
            Entry { position, state, ends: ends.clone(), has_owner, noted_at: Instant::now(), is_recorded: !has_owner };
        self.entries.insert(name, entry);
        ends
    }

    /// Gives an operation that runs and has no owner to the caller.
    pub(super) fn adopt(&mut self, name: &ResourceName) -> Option<Ends> {
        let entry = self.entries.get_mut(name).filter(|entry| !entry.has_owner && !entry.is_done())?;
        entry.has_owner = true;
        entry.ends = Ends::default();
        self.write_count += 1;
        Some(entry.ends.clone())
    }

    pub(super) fn let_go(&mut self, name: &ResourceName) {
        if let Some(entry) = self.entries.get_mut(name).filter(|entry| !entry.is_done()) {
            entry.has_owner = false;
            self.write_count += 1;
            // Its record is its next owner's, where there is one.
            if entry.is_recorded {
                self.unwritten.remove(name);
            }
        }
    }

    /// Operations that run and have no owner here, oldest first.
    pub(super) fn unowned(&self) -> Vec<ResourceName> {
        let is_unowned =
            |name: &&ResourceName| self.entries.get(name).is_some_and(|entry| !entry.has_owner && !entry.is_done());
        self.by_position.values().filter(is_unowned).cloned().collect()
    }

    /// See [`super::Operations::mirror`]. `Some(true)` if anything changed.
    pub(super) fn mirror(
        &mut self,
        write_count: u64,
        mut changed: Vec<Operation>,
        all: &BTreeSet<ResourceName>,
    ) -> Option<bool> {
        if self.write_count != write_count {
            return None;
        }
        let mut has_changed = false;
        changed.sort_by(|a, b| (a.create_time, &a.name).cmp(&(b.create_time, &b.name)));
        for operation in changed {
            match self.entries.get(&operation.name) {
                Some(entry) if entry.is_at_work() || self.is_pending(&operation.name) => {}
                Some(entry) => {
                    has_changed |= entry.state.send_if_modified(|known| {
                        let differs = *known != operation;
                        *known = operation;
                        differs
                    });
                }
                None => {
                    self.push(operation, false);
                    has_changed = true;
                }
            }
        }
        let is_gone = |(name, entry): &(&ResourceName, &Entry)| {
            !all.contains(*name) && !entry.is_at_work() && !self.is_pending(name)
        };
        let gone: Vec<ResourceName> = self.entries.iter().filter(is_gone).map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.drop_entry(&name);
            has_changed = true;
        }
        Some(has_changed)
    }

    pub(super) fn is_pending(&self, name: &ResourceName) -> bool {
        self.unwritten.contains(name) || self.in_writing.contains(name)
    }

    /// Written down with each phase, and every [`PROGRESS_INTERVAL`], with the loss curve so far.
    pub(super) fn report(&mut self, name: &ResourceName, progress: Progress) {
        if let Some(entry) = self.entries.get_mut(name).filter(|entry| !entry.is_done()) {
            let is_next_phase = entry.state.borrow().progress.phase != progress.phase;
            entry.state.send_modify(|operation| operation.progress = progress);
            if is_next_phase || entry.noted_at.elapsed() >= PROGRESS_INTERVAL {
                entry.noted_at = Instant::now();
                self.unwritten.insert(name.clone());
            }
        }
    }

    pub(super) fn end(&mut self, name: &ResourceName, outcome: Result<()>, now: i64) {
        if let Some(entry) = self.entries.get(name).filter(|entry| !entry.is_done()) {
            entry.state.send_modify(|operation| {
                operation.outcome = Some(outcome);
                operation.end_time = Some(now);
            });
            self.unwritten.insert(name.clone());
            self.write_count += 1;
        }
    }

    /// Removes an operation, and its record later.
    fn remove(&mut self, name: &ResourceName) {
        if self.drop_entry(name) {
            self.unwritten.insert(name.clone());
        }
    }

    pub(super) fn withdraw(&mut self, name: &ResourceName) {
        self.remove(name);
        self.write_count += 1;
    }

    /// Removes an operation that has no record.
    pub(super) fn forget(&mut self, name: &ResourceName) {
        self.drop_entry(name);
        self.unwritten.remove(name);
        self.write_count += 1;
    }

    fn drop_entry(&mut self, name: &ResourceName) -> bool {
        let removed = self.entries.remove(name);
        if let Some(entry) = &removed {
            self.by_position.remove(&entry.position);
        }
        removed.is_some()
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.by_position.values().rev().filter_map(|name| self.entries.get(name))
    }

    /// Takes what has yet to be written, each with its state, or `None` where it was removed.
    pub(super) fn take_unwritten(&mut self) -> Vec<(ResourceName, Option<Operation>)> {
        let names = std::mem::take(&mut self.unwritten);
        self.in_writing.extend(names.iter().cloned());
        names
            .into_iter()
            .map(|name| {
                let operation = self.entries.get(&name).map(Entry::operation);
                (name, operation)
            })
            .collect()
    }

    /// Notes that a record was written, or puts back what could not be.
    pub(super) fn written(&mut self, name: ResourceName, is_written: bool) {
        self.in_writing.remove(&name);
        self.write_count += 1;
        if !is_written {
            self.unwritten.insert(name);
        } else if let Some(entry) = self.entries.get_mut(&name) {
            entry.is_recorded = true;
        }
    }
}
