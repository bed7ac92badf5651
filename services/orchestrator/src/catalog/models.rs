//! Teachers and autoencoders in memory: read by every call, written through to the records.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{Autoencoder, Dataset, Error, ModelState, ResourceName, Result, Teacher};
use tokio::sync::watch;

use crate::ports::Records;

/// All models by name. Values are shared, so that a snapshot is cheap and a change is a new pointer.
#[derive(Debug, Clone, Default)]
pub struct ModelSet {
    /// By name, as far as they have been seen.
    pub datasets: BTreeMap<ResourceName, Arc<Dataset>>,
    /// By name.
    pub teachers: BTreeMap<ResourceName, Arc<Teacher>>,
    /// By name.
    pub autoencoders: BTreeMap<ResourceName, Arc<Autoencoder>>,
}

/// The models as this replica knows them. Memory changes after the record does, so nothing is seen that a
/// restart would not know.
pub(super) struct Models {
    set: Mutex<ModelSet>,
    records: Arc<dyn Records>,
    /// Counts changes; watchers look at the set when it moves.
    changes: watch::Sender<u64>,
    /// Counts what this process has written, after it was; changed under the lock of `set`.
    write_count: AtomicU64,
}

/// What a look at the records brought: what is new or changed, and the names of all there are.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) teachers: Vec<Teacher>,
    pub(super) autoencoders: Vec<Autoencoder>,
    pub(super) all: BTreeSet<ResourceName>,
}

impl Models {
    /// Nothing yet: what is on record is mirrored.
    pub(super) fn new(records: Arc<dyn Records>) -> Self {
        Self { set: Mutex::default(), records, changes: watch::Sender::new(0), write_count: AtomicU64::new(0) }
    }

    /// Counts what this process has written: see [`Models::mirror`].
    pub(super) fn write_count(&self) -> u64 {
        self.write_count.load(Ordering::Acquire)
    }

    /// Takes over what a look at the records brought. Says `false`, and changes nothing, if something was
    /// written here since the look began, at `write_count`: then it has to be repeated.
    pub(super) fn mirror(&self, write_count: u64, look: &Look) -> bool {
        {
            let mut set = self.set();
            if self.write_count() != write_count {
                return false;
            }
            let before = (set.teachers.len(), set.autoencoders.len());
            set.teachers.retain(|name, _| look.all.contains(name));
            set.autoencoders.retain(|name, _| look.all.contains(name));
            let mut has_changed = before != (set.teachers.len(), set.autoencoders.len());
            for teacher in &look.teachers {
                has_changed |= take_over(&mut set.teachers, &teacher.name, teacher);
            }
            for autoencoder in &look.autoencoders {
                has_changed |= take_over(&mut set.autoencoders, &autoencoder.name, autoencoder);
            }
            if !has_changed {
                return true;
            }
        }
        self.changed();
        true
    }

    /// All of them at this moment.
    pub(super) fn snapshot(&self) -> ModelSet {
        self.set().clone()
    }

    /// One teacher.
    pub(super) fn teacher(&self, name: &ResourceName) -> Result<Arc<Teacher>> {
        self.set().teachers.get(name).cloned().ok_or_else(|| not_found(name))
    }

    /// One autoencoder.
    pub(super) fn autoencoder(&self, name: &ResourceName) -> Result<Arc<Autoencoder>> {
        self.set().autoencoders.get(name).cloned().ok_or_else(|| not_found(name))
    }

    /// Writes a teacher whose name nobody has.
    pub(super) async fn create_teacher(&self, teacher: Teacher) -> Result<()> {
        self.records.create_teacher(&teacher).await?;
        self.written(|set| set.teachers.insert(teacher.name.clone(), Arc::new(teacher)));
        Ok(())
    }

    /// Writes a changed teacher.
    pub(super) async fn put_teacher(&self, teacher: Teacher) -> Result<()> {
        self.records.put_teacher(&teacher).await?;
        self.written(|set| set.teachers.insert(teacher.name.clone(), Arc::new(teacher)));
        Ok(())
    }

    /// Writes an autoencoder whose name nobody has.
    pub(super) async fn create_autoencoder(&self, autoencoder: Autoencoder) -> Result<()> {
        self.records.create_autoencoder(&autoencoder).await?;
        self.written(|set| set.autoencoders.insert(autoencoder.name.clone(), Arc::new(autoencoder)));
        Ok(())
    }

    /// Writes a changed autoencoder.
    pub(super) async fn put_autoencoder(&self, autoencoder: Autoencoder) -> Result<()> {
        self.records.put_autoencoder(&autoencoder).await?;
        self.written(|set| set.autoencoders.insert(autoencoder.name.clone(), Arc::new(autoencoder)));
        Ok(())
    }

    /// Notes which data sets there are. They never change, so only new ones count.
    pub(super) fn note_datasets(&self, datasets: Vec<Dataset>) {
        let news = {
            let mut set = self.set();
            let known = set.datasets.len();
            for dataset in datasets {
                set.datasets.entry(dataset.name.clone()).or_insert_with(|| Arc::new(dataset));
            }
            set.datasets.len() > known
        };
        if news {
            self.changed();
        }
    }

    /// Forgets a model of either kind.
    pub(super) async fn delete(&self, name: &ResourceName) -> Result<()> {
        self.records.delete(name).await?;
        self.written(|set| {
            set.teachers.remove(name);
            set.autoencoders.remove(name);
        });
        Ok(())
    }

    /// Changes memory after a record was written.
    fn written<T>(&self, change: impl FnOnce(&mut ModelSet) -> T) {
        {
            let mut set = self.set();
            change(&mut set);
            self.write_count.fetch_add(1, Ordering::AcqRel);
        }
        self.changed();
    }

    /// Moves whenever a model does.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn set(&self) -> MutexGuard<'_, ModelSet> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_over<T: Clone + PartialEq>(known: &mut BTreeMap<ResourceName, Arc<T>>, name: &ResourceName, read: &T) -> bool {
    let differs = known.get(name).is_none_or(|known| **known != *read);
    if differs {
        known.insert(name.clone(), Arc::new(read.clone()));
    }
    differs
}

/// `Ok` for a model that can answer.
pub(super) fn check_ready(name: &ResourceName, state: &ModelState, operation: &str) -> Result<()> {
    match state {
        ModelState::Ready => Ok(()),
        ModelState::Training => {
            let operation = Some(operation).filter(|operation| !operation.is_empty());
            Err(Error::model_not_ready(name, "it is being trained", operation))
        }
        ModelState::Failed(why) => Err(Error::FailedPrecondition {
            reason: "MODEL_FAILED",
            subject: name.to_string(),
            description: format!("{name} cannot answer, its training failed: {why}"),
        }),
    }
}

/// The singular noun of a model's collection, for errors.
pub(super) fn kind(name: &ResourceName) -> &'static str {
    if name.as_str().starts_with("teachers/") { "TEACHER" } else { "AUTOENCODER" }
}

fn not_found(name: &ResourceName) -> Error {
    Error::NotFound { kind: kind(name), resource: name.to_string() }
}
