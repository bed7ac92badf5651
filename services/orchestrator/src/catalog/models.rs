//! Teachers and autoencoders in memory: read by every call, written through to the records.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

/// The models of this process. Memory changes after the record does, so nothing is seen that a restart
/// would not know.
pub(super) struct Models {
    set: Mutex<ModelSet>,
    records: Arc<dyn Records>,
    /// Counts changes; watchers look at the set when it moves.
    changes: watch::Sender<u64>,
}

impl Models {
    /// Reads what is on record.
    pub(super) async fn load(records: Arc<dyn Records>) -> Result<Self> {
        let teachers = records.teachers().await?.into_iter().map(|t| (t.name.clone(), Arc::new(t))).collect();
        let autoencoders = records.autoencoders().await?.into_iter().map(|a| (a.name.clone(), Arc::new(a))).collect();
        let set = Mutex::new(ModelSet { datasets: BTreeMap::new(), teachers, autoencoders });
        Ok(Self { set, records, changes: watch::Sender::new(0) })
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

    /// Writes a new or changed teacher.
    pub(super) async fn put_teacher(&self, teacher: Teacher) -> Result<()> {
        self.records.put_teacher(&teacher).await?;
        self.set().teachers.insert(teacher.name.clone(), Arc::new(teacher));
        self.changed();
        Ok(())
    }

    /// Writes a new or changed autoencoder.
    pub(super) async fn put_autoencoder(&self, autoencoder: Autoencoder) -> Result<()> {
        self.records.put_autoencoder(&autoencoder).await?;
        self.set().autoencoders.insert(autoencoder.name.clone(), Arc::new(autoencoder));
        self.changed();
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
        {
            let mut set = self.set();
            set.teachers.remove(name);
            set.autoencoders.remove(name);
        }
        self.changed();
        Ok(())
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

/// `Ok` for a model that can answer.
pub(super) fn check_ready(name: &ResourceName, state: &ModelState, operation: &str) -> Result<()> {
    match state {
        ModelState::Ready => Ok(()),
        ModelState::Training => Err(Error::model_not_ready(name, "it is being trained", Some(operation))),
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
