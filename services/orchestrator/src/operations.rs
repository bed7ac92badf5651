//! Trainings as operations: who asked for what, how far it is, how it ended. The work itself is in
//! `catalog`; here it has a name, a target, a progress and a token that asks it to end. An explanation is
//! its own operation and is not here.

mod handle;
mod journal;
mod registry;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{Error, Progress, ResourceName, Result};
use tokio::sync::watch;
use uuid::Uuid;

pub use self::handle::OperationHandle;
use self::registry::{Entry, Registry};
use crate::ports::{Clock, Records};

/// Operations that are kept; beyond it the oldest finished ones are forgotten.
pub const MAX_OPERATION_COUNT: usize = 1_000;
/// Longest wait for an operation's end in one call.
pub const MAX_WAIT: Duration = Duration::from_secs(10);

/// One piece of long work, as everybody may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// `operations/{o}`.
    pub name: ResourceName,
    /// The resource that is made.
    pub target: ResourceName,
    /// Hash of the request that began it: a repeated `request_id` must bring the same one.
    pub fingerprint: String,
    /// Seconds since the Unix epoch.
    pub create_time: i64,
    /// Seconds since the Unix epoch; `None` while it runs.
    pub end_time: Option<i64>,
    /// How far it is.
    pub progress: Progress,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Result<()>>,
    /// Who asked for it.
    pub creator: String,
}

impl Operation {
    /// Whether it will not change any more.
    pub fn is_done(&self) -> bool {
        self.outcome.is_some()
    }
}

/// What an operation begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOperation {
    /// The caller's UUID, which becomes the operation's id; empty: one is made.
    pub request_id: String,
    /// See [`Operation::fingerprint`].
    pub fingerprint: String,
    /// The resource that will be made.
    pub target: ResourceName,
    /// Where it starts.
    pub progress: Progress,
    /// See [`Operation::creator`].
    pub creator: String,
}

/// All operations, as this replica knows them. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Mutex<Registry>,
    records: Arc<dyn Records>,
    clock: Clock,
    /// Held by whoever writes records down.
    writing: tokio::sync::Mutex<()>,
    /// Counts changes; watchers look at the registry when it moves.
    changes: watch::Sender<u64>,
}

impl Operations {
    /// Nothing yet: what is on record is [`Operations::mirror`]ed.
    pub fn new(records: Arc<dyn Records>, clock: Clock) -> Self {
        let registry = Mutex::new(Registry::new());
        Self {
            shared: Arc::new(Shared {
                registry,
                records,
                clock,
                writing: tokio::sync::Mutex::default(),
                changes: watch::Sender::new(0),
            }),
        }
    }

    /// The operation of an earlier request with this id, if there was one. The same id with another
    /// request is an error, as is an id that is no UUID. An empty id was never used.
    pub fn existing(&self, request_id: &str, fingerprint: &str) -> Result<Option<Operation>> {
        if request_id.is_empty() {
            return Ok(None);
        }
        let name = name_of_request(request_id)?;
        let Some(operation) = self.registry().find(&name).map(Entry::operation) else { return Ok(None) };
        // One whose record was lost with a process, and made anew, does not know its request any more.
        if operation.fingerprint != fingerprint && !operation.fingerprint.is_empty() {
            return Err(Error::invalid("request_id", "was used for another request"));
        }
        Ok(Some(operation))
    }

    /// The name of the operation that a request begins; an empty id has a new one each time.
    pub fn name_of(request_id: &str) -> Result<ResourceName> {
        match request_id {
            "" => ResourceName::new(ResourceName::OPERATION, &[&Uuid::new_v4().to_string()]),
            request_id => name_of_request(request_id),
        }
    }

    /// Begins an operation that is claimed. Callers look for an [`Operations::existing`] one first.
    pub fn begin(&self, name: ResourceName, new: NewOperation) -> Result<OperationHandle> {
        let operation = Operation {
            name: name.clone(),
            target: new.target,
            fingerprint: new.fingerprint,
            create_time: (self.shared.clock)(),
            end_time: None,
            progress: new.progress,
            outcome: None,
            creator: new.creator,
        };
        let ends = self.registry().insert(operation)?;
        self.changed();
        Ok(OperationHandle::new(self.clone(), name, ends))
    }

    /// Takes over an operation that is claimed: one that runs and that nobody of this process works on.
    pub fn resume(&self, name: &ResourceName) -> Option<OperationHandle> {
        let ends = self.registry().adopt(name)?;
        Some(OperationHandle::new(self.clone(), name.clone(), ends))
    }

    /// Whether this process works on an operation.
    pub fn owns(&self, name: &ResourceName) -> bool {
        self.registry().find(name).is_some_and(Entry::is_at_work)
    }

    /// Whether this process works on anything.
    pub fn owns_any(&self) -> bool {
        self.registry().newest_first().any(Entry::is_at_work)
    }

    /// Lets go of one operation: somebody else may work on it now.
    pub fn lose(&self, name: &ResourceName) {
        if let Some(entry) = self.registry().find(name) {
            entry.lose();
        }
    }

    /// Lets go of all operations.
    pub fn lose_all(&self) {
        self.registry().newest_first().for_each(Entry::lose);
    }

    /// Operations that run without anybody of this process working on them, oldest first.
    pub fn unowned(&self) -> Vec<ResourceName> {
        self.registry().unowned()
    }

    /// Operations of this creator that run or wait.
    pub fn under_way(&self, creator: &str) -> usize {
        let is_counted = |entry: &&Entry| entry.is_of(creator);
        self.registry().newest_first().filter(is_counted).count()
    }

    /// Whether the record of an operation is as it is in memory.
    pub fn is_written(&self, name: &ResourceName) -> bool {
        !self.registry().is_pending(name)
    }

    /// Counts what this process has written of its own: see [`Operations::mirror`].
    pub fn write_count(&self) -> u64 {
        self.registry().write_count
    }

    /// Takes over what a look at the records brought: what is new or changed, and the names of all there are.
    /// What this process works on, or has yet to write down, stays as it is. Says `false`, and changes nothing,
    /// if something was written here since the look began, at `write_count`: then it has to be repeated.
    pub fn mirror(&self, write_count: u64, changed: Vec<Operation>, all: &BTreeSet<ResourceName>) -> bool {
        let outcome = self.registry().mirror(write_count, changed, all);
        if outcome == Some(true) {
            self.changed();
        }
        outcome.is_some()
    }

    /// The latest state of an operation.
    pub fn get(&self, name: &ResourceName) -> Result<Operation> {
        self.registry().find(name).map(Entry::operation).ok_or_else(|| not_found(name))
    }

    /// Follows one operation; the channel closes when the operation is deleted.
    pub fn watch(&self, name: &ResourceName) -> Result<watch::Receiver<Operation>> {
        self.registry().find(name).map(Entry::subscribe).ok_or_else(|| not_found(name))
    }

    /// Waits for the end, at most `timeout` and never longer than [`MAX_WAIT`]; answers the latest state.
    pub async fn wait(&self, name: &ResourceName, timeout: Duration) -> Result<Operation> {
        let mut states = self.watch(name)?;
        let ended = states.wait_for(Operation::is_done);
        match tokio::time::timeout(timeout.min(MAX_WAIT), ended).await {
            Ok(Ok(operation)) => Ok(operation.clone()),
            Ok(Err(_)) => Err(not_found(name)),
            Err(_) => self.get(name),
        }
    }

    /// All operations, newest first.
    pub fn list(&self) -> Vec<Operation> {
        self.registry().newest_first().map(Entry::operation).collect()
    }

    /// Operations that run or have ended in the last `seconds`, newest first, at most `count`.
    pub fn recent(&self, seconds: i64, count: usize) -> Vec<Operation> {
        let since = (self.shared.clock)() - seconds;
        self.registry()
            .newest_first()
            .filter(|entry| entry.is_recent(since))
            .take(count)
            .map(Entry::operation)
            .collect()
    }

    /// Asks an operation that this process works on to end; says whether it is one. One that has ended stays
    /// as it is.
    pub fn cancel(&self, name: &ResourceName) -> Result<bool> {
        let registry = self.registry();
        let entry = registry.find(name).ok_or_else(|| not_found(name))?;
        entry.cancel();
        Ok(entry.is_at_work())
    }

    /// Forgets an operation that has ended. What it made stays.
    pub async fn delete(&self, name: &ResourceName) -> Result<()> {
        if !self.get(name)?.is_done() {
            return Err(Error::FailedPrecondition {
                reason: "OPERATION_RUNNING",
                subject: name.to_string(),
                description: format!("{name} has not ended: cancel it first"),
            });
        }
        self.shared.records.delete(name).await?;
        self.forget(name);
        Ok(())
    }

    /// Drops an operation that never came about, and its record, which the journal may have begun.
    fn withdraw(&self, name: &ResourceName) {
        self.registry().withdraw(name);
        self.changed();
    }

    /// Drops an operation whose record is gone.
    fn forget(&self, name: &ResourceName) {
        self.registry().forget(name);
        self.changed();
    }

    /// Nobody of this process works on it any more.
    fn let_go(&self, name: &ResourceName) {
        self.registry().let_go(name);
    }

    /// Moves whenever any operation does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn report(&self, name: &ResourceName, progress: Progress) {
        self.registry().report(name, progress);
        self.changed();
    }

    fn end(&self, name: &ResourceName, outcome: Result<()>) {
        let now = (self.shared.clock)();
        self.registry().end(name, outcome, now);
        self.changed();
    }

    fn changed(&self) {
        self.shared.changes.send_modify(|count| *count += 1);
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.shared.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of_request(request_id: &str) -> Result<ResourceName> {
    let uuid = Uuid::try_parse(request_id).map_err(|_| Error::invalid("request_id", "is not a UUID"))?;
    ResourceName::new(ResourceName::OPERATION, &[&uuid.hyphenated().to_string()])
}

fn not_found(name: &ResourceName) -> Error {
    Error::NotFound { kind: "OPERATION", resource: name.to_string() }
}

#[cfg(test)]
mod tests;
