//! The operations in memory, by name and by age, and which of them the journal has yet to write.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{Error, Progress, ResourceName, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{MAX_OPERATION_COUNT, Operation};

/// One operation with those who follow it.
pub(super) struct Entry {
    /// Ascending with age: the larger, the newer.
    position: u64,
    state: watch::Sender<Operation>,
    cancellation: CancellationToken,
    /// Whether somebody in this process works on it.
    has_owner: bool,
}

impl Entry {
    pub(super) fn operation(&self) -> Operation {
        self.state.borrow().clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Operation> {
        self.state.subscribe()
    }

    pub(super) fn cancel(&self) {
        self.cancellation.cancel();
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
}

impl Registry {
    pub(super) fn new(mut recorded: Vec<Operation>) -> Self {
        recorded.sort_by(|a, b| (a.create_time, &a.name).cmp(&(b.create_time, &b.name)));
        let mut registry = Self {
            entries: HashMap::new(),
            by_position: BTreeMap::new(),
            next_position: 0,
            unwritten: BTreeSet::new(),
        };
        for operation in recorded {
            registry.push(operation, false);
        }
        registry
    }

    pub(super) fn find(&self, name: &ResourceName) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Adds an operation that its caller owns. When all that are kept still run, the system is busy.
    pub(super) fn insert(&mut self, operation: Operation) -> Result<CancellationToken> {
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
        self.unwritten.insert(operation.name.clone());
        Ok(self.push(operation, true))
    }

    fn push(&mut self, operation: Operation, has_owner: bool) -> CancellationToken {
        let (name, cancellation) = (operation.name.clone(), CancellationToken::new());
        let position = self.next_position;
        self.next_position += 1;
        self.by_position.insert(position, name.clone());
        let state = watch::Sender::new(operation);
        self.entries.insert(name, Entry { position, state, cancellation: cancellation.clone(), has_owner });
        cancellation
    }

    /// Gives an operation that runs and has no owner to the caller.
    pub(super) fn adopt(&mut self, name: &ResourceName) -> Option<CancellationToken> {
        let entry = self.entries.get_mut(name).filter(|entry| !entry.has_owner && !entry.is_done())?;
        entry.has_owner = true;
        Some(entry.cancellation.clone())
    }

    /// Operations that run and have no owner.
    pub(super) fn orphans(&self) -> Vec<ResourceName> {
        let is_orphan = |entry: &Entry| !entry.has_owner && !entry.is_done();
        self.entries.iter().filter(|(_, entry)| is_orphan(entry)).map(|(name, _)| name.clone()).collect()
    }

    /// Written down from phase to phase, with the loss curve so far: within a phase, the work itself knows
    /// after a restart how far it was.
    pub(super) fn report(&mut self, name: &ResourceName, progress: Progress) {
        if let Some(entry) = self.entries.get(name).filter(|entry| !entry.is_done()) {
            let is_next_phase = entry.state.borrow().progress.phase != progress.phase;
            entry.state.send_modify(|operation| operation.progress = progress);
            if is_next_phase {
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
        }
    }

    pub(super) fn remove(&mut self, name: &ResourceName) {
        if let Some(entry) = self.entries.remove(name) {
            self.by_position.remove(&entry.position);
            self.unwritten.insert(name.clone());
        }
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.by_position.values().rev().filter_map(|name| self.entries.get(name))
    }

    /// Takes what has yet to be written, each with its state, or `None` where it was removed.
    pub(super) fn take_unwritten(&mut self) -> Vec<(ResourceName, Option<Operation>)> {
        let names = std::mem::take(&mut self.unwritten);
        names
            .into_iter()
            .map(|name| {
                let operation = self.entries.get(&name).map(Entry::operation);
                (name, operation)
            })
            .collect()
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&mut self, name: ResourceName) {
        self.unwritten.insert(name);
    }
}
