//! What there is to look at: data sets, models, and where a teacher is wrong. Models are made by
//! operations (`creation`, `training`); everything else here is a read.

mod creation;
mod evaluation;
mod examples;
mod following;
mod models;
mod refreshing;
mod resuming;
mod training;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Autoencoder, ConfusionMatrix, Dataset, Error, Example, ModelState, ResourceName, Result, Teacher};
use moka::future::Cache;
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

pub use self::{
    creation::{NewAutoencoder, NewTeacher, check_identity},
    evaluation::{Evaluation, ExampleFilter, ExampleOrder},
    examples::{ExamplePage, ExampleQuery, Selection, check_split},
    models::ModelSet,
};
use self::{
    models::{Models, check_ready},
    refreshing::Mirror,
};
use crate::{
    caller::{Caller, Limits},
    operations::Operations,
    ports::{self, Clock, Library, Records, Trainers},
    replicas::Replica,
};

/// Evaluations that are kept ready, about 5 MB each.
const MAX_EVALUATION_COUNT: u64 = 8;

/// The catalog of this process. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

struct Inner {
    library: Arc<dyn Library>,
    trainers: Arc<dyn Trainers>,
    operations: Operations,
    records: Arc<dyn Records>,
    models: Models,
    /// Held by whoever looks at the records.
    mirror: tokio::sync::Mutex<Mirror>,
    replica: Arc<Replica>,
    limits: Limits,
    clock: Clock,
    /// By teacher, its digest, data set and split: a teacher that was trained anew has another digest.
    evaluations: Cache<[String; 4], Arc<Evaluation>>,
    /// Held while a model is created or deleted, so that a name is given once.
    naming: tokio::sync::Mutex<()>,
    /// One training at a time, first come, first served.
    turn: Arc<Semaphore>,
    /// Owns the trainings' tasks.
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// What the catalog works with.
pub struct CatalogParts {
    /// Data sets and stored answers.
    pub library: Arc<dyn Library>,
    /// What must survive a restart.
    pub records: Arc<dyn Records>,
    /// The model services' long work.
    pub trainers: Arc<dyn Trainers>,
    /// Shared with the explanations.
    pub operations: Operations,
    /// This process among the others.
    pub replica: Arc<Replica>,
    /// What one creator may have under way.
    pub limits: Limits,
    /// For create times.
    pub clock: Clock,
    /// Ends trainings between two steps; the next process resumes them.
    pub shutdown: CancellationToken,
}

impl Catalog {
    /// Reads what is on record. Nothing is trained before [`Catalog::resume`].
    pub async fn load(parts: CatalogParts) -> Result<Self> {
        let models = Models::new(Arc::clone(&parts.records));
        let catalog = Self {
            inner: Arc::new(Inner {
                library: parts.library,
                trainers: parts.trainers,
                operations: parts.operations,
                records: parts.records,
                models,
                mirror: tokio::sync::Mutex::default(),
                replica: parts.replica,
                limits: parts.limits,
                clock: parts.clock,
                evaluations: Cache::new(MAX_EVALUATION_COUNT),
                naming: tokio::sync::Mutex::default(),
                turn: Arc::new(Semaphore::new(1)),
                tasks: TaskTracker::new(),
                shutdown: parts.shutdown,
            }),
        };
        catalog.refresh().await?;
        Ok(catalog)
    }

    /// All data sets, by name. New ones are told to those who watch.
    pub async fn datasets(&self) -> Result<Vec<Dataset>> {
        let datasets = self.inner.library.datasets().await?;
        self.inner.models.note_datasets(datasets.clone());
        Ok(datasets)
    }

    /// One data set.
    pub async fn dataset(&self, name: &ResourceName) -> Result<Dataset> {
        self.inner.library.dataset(name).await
    }

    /// All models at this moment.
    pub fn models(&self) -> ModelSet {
        self.inner.models.snapshot()
    }

    /// One teacher, whatever its state; one that is not known yet is looked for on record.
    pub async fn teacher(&self, name: &ResourceName) -> Result<Arc<Teacher>> {
        match self.known_teacher(name) {
            Err(Error::NotFound { .. }) => {}
            known => return known,
        }
        self.refresh().await?;
        self.known_teacher(name)
    }

    /// One autoencoder, whatever its state; one that is not known yet is looked for on record.
    pub async fn autoencoder(&self, name: &ResourceName) -> Result<Arc<Autoencoder>> {
        match self.known_autoencoder(name) {
            Err(Error::NotFound { .. }) => {}
            known => return known,
        }
        self.refresh().await?;
        self.known_autoencoder(name)
    }

    /// One teacher, as far as this replica knows.
    pub fn known_teacher(&self, name: &ResourceName) -> Result<Arc<Teacher>> {
        self.inner.models.teacher(name)
    }

    /// One autoencoder, as far as this replica knows.
    pub fn known_autoencoder(&self, name: &ResourceName) -> Result<Arc<Autoencoder>> {
        self.inner.models.autoencoder(name)
    }

    /// An operation's name, known to this replica if to anybody.
    pub async fn find_operation(&self, name: &ResourceName) -> Result<()> {
        if self.inner.operations.get(name).is_err() {
            self.refresh().await?;
        }
        self.inner.operations.get(name).map(drop)
    }

    /// Asks a training to end, whichever replica does it. One that has ended stays as it is.
    pub async fn cancel_operation(&self, caller: &Caller, name: &ResourceName) -> Result<()> {
        self.find_operation(name).await?;
        let operation = self.inner.operations.get(name)?;
        caller.may_change(&operation.creator, name.as_str(), "cancel")?;
        if self.inner.operations.cancel(name)? || self.inner.operations.get(name)?.is_done() {
            return Ok(());
        }
        self.inner.replica.board().request_end(name.id()).await
    }

    /// Forgets a training that has ended. What it made stays.
    pub async fn delete_operation(&self, caller: &Caller, name: &ResourceName) -> Result<()> {
        self.find_operation(name).await?;
        caller.may_change(&self.inner.operations.get(name)?.creator, name.as_str(), "delete")?;
        self.inner.operations.delete(name).await
    }

    /// The operations that make models.
    pub fn operations(&self) -> &Operations {
        &self.inner.operations
    }

    /// Moves whenever a model does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.models.changes()
    }

    /// Deletes a model of either kind with its weights and answers, also if the caller leaves meanwhile:
    /// weights that stayed behind would be those of the next model of this name.
    pub async fn delete_model(&self, caller: &Caller, name: &ResourceName) -> Result<()> {
        let (catalog, caller, name) = (self.clone(), caller.clone(), name.clone());
        self.to_its_end(async move { catalog.delete_model_and_weights(&caller, &name).await }).await
    }

    async fn delete_model_and_weights(&self, caller: &Caller, name: &ResourceName) -> Result<()> {
        let _naming = self.inner.naming.lock().await;
        self.refresh().await?;
        let (state, operation, creator) = match models::kind(name) {
            "TEACHER" => {
                self.known_teacher(name).map(|it| (it.state.clone(), it.operation.clone(), it.creator.clone()))?
            }
            _ => self.known_autoencoder(name).map(|it| (it.state.clone(), it.operation.clone(), it.creator.clone()))?,
        };
        caller.may_change(&creator, name.as_str(), "delete")?;
        if state == ModelState::Training {
            return Err(Error::FailedPrecondition {
                reason: "MODEL_TRAINING",
                subject: name.to_string(),
                description: format!("{name} is being trained: cancel {operation} first"),
            });
        }
        // The weights go first: if they do not, the model is still there to be deleted again.
        self.inner.library.delete_model(name).await?;
        self.inner.models.delete(name).await
    }

    /// How often each gold label of a split was given each predicted label; with the split, which is
    /// the one the teacher was judged on unless another is named.
    pub async fn confusion_matrix(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: Option<String>,
    ) -> Result<(String, ConfusionMatrix)> {
        let split = match split {
            Some(split) => split,
            None => self.teacher(teacher).await?.recipe.evaluation_split.clone(),
        };
        let evaluation = self.evaluation(teacher, dataset, &split).await?;
        Ok((split, evaluation.confusion_matrix().clone()))
    }

    /// A teacher's evaluation on a split; an error says why there is none.
    async fn evaluation(&self, teacher: &ResourceName, dataset: &ResourceName, split: &str) -> Result<Arc<Evaluation>> {
        if let Some(evaluation) = self.evaluation_if_stored(teacher, dataset, split).await? {
            return Ok(evaluation);
        }
        let known = self.teacher(teacher).await?;
        check_ready(teacher, &known.state, &known.operation)?;
        let dataset = self.dataset(dataset).await?;
        if !dataset.splits.iter().any(|candidate| candidate.id == split) {
            return Err(Error::invalid("split", format!("{} has no split of this name", dataset.name)));
        }
        Err(Error::FailedPrecondition {
            reason: "EVALUATION_MISSING",
            subject: teacher.to_string(),
            description: format!("{teacher} has not been evaluated on {split} of {}", dataset.name),
        })
    }

    /// A teacher's evaluation on a split, if there is one of the weights that it has now.
    async fn evaluation_if_stored(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: &str,
    ) -> Result<Option<Arc<Evaluation>>> {
        let known = self.teacher(teacher).await?;
        if known.digest.is_empty() {
            return Ok(None);
        }
        let key = [teacher.as_str(), &known.digest, dataset.as_str(), split].map(str::to_owned);
        if let Some(ready) = self.inner.evaluations.get(&key).await {
            return Ok(Some(ready));
        }
        let Some(stored) = self.inner.library.answers(teacher, dataset, split).await? else { return Ok(None) };
        if stored.teacher_digest != known.digest {
            return Ok(None);
        }
        let make_ready = async {
            let gold = self.inner.library.gold_labels(dataset, split).await?;
            let work = move || Evaluation::new(gold, &stored).map(Arc::new);
            tokio::task::spawn_blocking(work).await.map_err(Error::unexpected)?
        };
        let ready = self.inner.evaluations.try_get_with(key, make_ready).await;
        ready.map(Some).map_err(|error: Arc<Error>| Error::clone(&error))
    }

    /// Runs work that must not stop halfway when its caller leaves.
    async fn to_its_end<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        self.inner.tasks.spawn(work.in_current_span()).await.map_err(Error::unexpected)?
    }

    fn library(&self) -> &dyn Library {
        &*self.inner.library
    }
}

#[async_trait]
impl ports::Catalog for Catalog {
    async fn ready_teacher(&self, name: &ResourceName) -> Result<Teacher> {
        let teacher = self.teacher(name).await?;
        check_ready(name, &teacher.state, &teacher.operation)?;
        Ok(Teacher::clone(&teacher))
    }

    async fn ready_autoencoder(&self, name: &ResourceName) -> Result<Autoencoder> {
        let autoencoder = self.autoencoder(name).await?;
        check_ready(name, &autoencoder.state, &autoencoder.operation)?;
        Ok(Autoencoder::clone(&autoencoder))
    }

    async fn dataset(&self, name: &ResourceName) -> Result<Dataset> {
        Catalog::dataset(self, name).await
    }

    async fn example(&self, name: &ResourceName) -> Result<Example> {
        self.get_example(name, None).await
    }
}
