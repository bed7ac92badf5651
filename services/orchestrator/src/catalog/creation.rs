//! How a model comes into the catalog: checked, named, recorded, and handed to a training.

use std::time::Duration;

use domain::{
    Architecture, Autoencoder, AutoencoderRecipe, Error, ModelState, Progress, ResourceName, Result, Teacher,
    TeacherRecipe, TeacherSource, Violations,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Catalog, models::check_ready, training::Job};
use crate::{
    caller::Caller,
    operations::{NewOperation, Operation, OperationHandle, Operations},
};

/// Longest display name in characters.
const MAX_DISPLAY_NAME: usize = 200;
/// Teachers, and autoencoders, that there may be.
const MAX_MODEL_COUNT: usize = 1_000;

/// How long the record of an operation that another replica has claimed may take to appear.
const CLAIMED_LIMIT: Duration = Duration::from_secs(2);

/// Who has begun an operation.
enum Begun {
    Here(OperationHandle),
    Elsewhere(Box<Operation>),
}

/// A teacher that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTeacher {
    /// The last part of its name.
    pub id: String,
    /// Empty: the id.
    pub display_name: String,
    /// All that determines it.
    pub recipe: TeacherRecipe,
    /// A UUID, or empty.
    pub request_id: String,
    /// Hash of the request without its id.
    pub fingerprint: String,
    /// Who asks for it.
    pub caller: Caller,
}

/// An autoencoder that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAutoencoder {
    /// The last part of its name.
    pub id: String,
    /// Empty: the id.
    pub display_name: String,
    /// All that determines it.
    pub recipe: AutoencoderRecipe,
    /// A UUID, or empty.
    pub request_id: String,
    /// Hash of the request without its id.
    pub fingerprint: String,
    /// Who asks for it.
    pub caller: Caller,
}

impl Catalog {
    /// Begins to train a teacher, unless the same request has done so before. A caller that leaves changes
    /// nothing: half a creation would leave a model that nobody trains.
    pub async fn create_teacher(&self, new: NewTeacher) -> Result<Operation> {
        let catalog = self.clone();
        self.to_its_end(async move { catalog.begin_teacher(new).await }).await
    }

    /// Begins to train an autoencoder, in the same way.
    pub async fn create_autoencoder(&self, new: NewAutoencoder) -> Result<Operation> {
        let catalog = self.clone();
        self.to_its_end(async move { catalog.begin_autoencoder(new).await }).await
    }

    async fn begin_teacher(&self, new: NewTeacher) -> Result<Operation> {
        let _naming = self.inner.naming.lock().await;
        self.refresh().await?;
        let NewTeacher { id, display_name, recipe, request_id, fingerprint, caller } = new;
        let mut violations = Violations::default();
        let identity = ("teacher_id", id.as_str());
        let name = check_identity(&mut violations, ResourceName::TEACHER, identity, &display_name, &request_id);
        if let Some(operation) = self.repeated(&mut violations, &request_id, &fingerprint) {
            return Ok(operation);
        }
        violations.take("recipe", recipe.validate());
        let splits = [
            ("training_split", recipe.training_split.as_str()),
            ("evaluation_split", recipe.evaluation_split.as_str()),
        ];
        self.check_splits(&mut violations, &recipe.dataset, &splits).await?;
        let architecture = violations.take("recipe", self.architecture(&recipe.source));
        violations.finish()?;
        let (Some(name), Some(architecture)) = (name, architecture) else {
            return Err(Error::unexpected("a missing value was not noted"));
        };
        if let TeacherSource::FineTune(base) = &recipe.source {
            let base = self.known_teacher(base)?;
            check_ready(&base.name, &base.state, &base.operation)?;
        }
        if self.known_teacher(&name).is_ok() {
            return Err(Error::AlreadyExists { kind: "TEACHER", resource: name.to_string() });
        }
        check_room(self.models().teachers.len(), &name)?;

        let begun = self.begin(&caller, &name, recipe.epoch_count, &request_id, &fingerprint).await?;
        let handle = match begun {
            Begun::Here(handle) => handle,
            Begun::Elsewhere(operation) => return Ok(*operation),
        };
        let teacher = Teacher {
            display_name: if display_name.is_empty() { id } else { display_name },
            state: ModelState::Training,
            architecture,
            digest: String::new(),
            engine: String::new(),
            accuracy: None,
            evaluated_example_count: 0,
            operation: handle.name().to_string(),
            creator: caller.name,
            create_time: (self.inner.clock)(),
            name: name.clone(),
            recipe,
        };
        let recorded = self.inner.models.create_teacher(teacher).await;
        self.hand_over(Job::Teacher(name), handle, recorded).await
    }

    async fn begin_autoencoder(&self, new: NewAutoencoder) -> Result<Operation> {
        let _naming = self.inner.naming.lock().await;
        self.refresh().await?;
        let NewAutoencoder { id, display_name, recipe, request_id, fingerprint, caller } = new;
        let mut violations = Violations::default();
        let identity = ("autoencoder_id", id.as_str());
        let name = check_identity(&mut violations, ResourceName::AUTOENCODER, identity, &display_name, &request_id);
        if let Some(operation) = self.repeated(&mut violations, &request_id, &fingerprint) {
            return Ok(operation);
        }
        violations.take("recipe", recipe.validate());
        let splits = [("training_split", recipe.training_split.as_str())];
        self.check_splits(&mut violations, &recipe.dataset, &splits).await?;
        violations.finish()?;
        let Some(name) = name else { return Err(Error::unexpected("a missing value was not noted")) };
        if self.known_autoencoder(&name).is_ok() {
            return Err(Error::AlreadyExists { kind: "AUTOENCODER", resource: name.to_string() });
        }
        check_room(self.models().autoencoders.len(), &name)?;

        let begun = self.begin(&caller, &name, recipe.epoch_count, &request_id, &fingerprint).await?;
        let handle = match begun {
            Begun::Here(handle) => handle,
            Begun::Elsewhere(operation) => return Ok(*operation),
        };
        let autoencoder = Autoencoder {
            display_name: if display_name.is_empty() { id } else { display_name },
            state: ModelState::Training,
            digest: String::new(),
            loss: None,
            operation: handle.name().to_string(),
            creator: caller.name,
            create_time: (self.inner.clock)(),
            name: name.clone(),
            recipe,
        };
        let recorded = self.inner.models.create_autoencoder(autoencoder).await;
        self.hand_over(Job::Autoencoder(name), handle, recorded).await
    }

    /// The operation that the same request began before.
    fn repeated(&self, violations: &mut Violations, request_id: &str, fingerprint: &str) -> Option<Operation> {
        Uuid::try_parse(request_id).ok()?;
        violations.take("", self.inner.operations.existing(request_id, fingerprint)).flatten()
    }

    /// Claims an operation and begins it, unless another replica has begun the same request at this moment.
    async fn begin(
        &self,
        caller: &Caller,
        target: &ResourceName,
        epoch_count: u32,
        request_id: &str,
        fingerprint: &str,
    ) -> Result<Begun> {
        let operations = &self.inner.operations;
        caller.check_quota("trainings", operations.under_way(&caller.name), self.inner.limits.trainings)?;
        let name = Operations::name_of(request_id)?;
        if !self.inner.replica.claim(&name, None).await? {
            return self.begun_elsewhere(&name, request_id, fingerprint).await;
        }
        let new = NewOperation {
            request_id: request_id.to_owned(),
            fingerprint: fingerprint.to_owned(),
            target: target.clone(),
            progress: Progress::queued(epoch_count),
            creator: caller.name.clone(),
        };
        match operations.begin(name.clone(), new) {
            Ok(handle) => Ok(Begun::Here(handle)),
            Err(error) => {
                self.inner.replica.board().release(&name).await.ok();
                Err(error)
            }
        }
    }

    /// Waits for the record of an operation that another replica has claimed.
    async fn begun_elsewhere(&self, name: &ResourceName, request_id: &str, fingerprint: &str) -> Result<Begun> {
        let give_up_at = Instant::now() + CLAIMED_LIMIT;
        loop {
            self.refresh().await?;
            if let Some(operation) = self.inner.operations.existing(request_id, fingerprint)? {
                return Ok(Begun::Elsewhere(Box::new(operation)));
            }
            if Instant::now() >= give_up_at {
                return Err(Error::AlreadyExists { kind: "OPERATION", resource: name.to_string() });
            }
            tokio::time::sleep(CLAIMED_LIMIT / 20).await;
        }
    }

    /// An operation that is claimed and whose record was lost.
    pub(super) fn begin_again(
        &self,
        name: ResourceName,
        target: &ResourceName,
        epoch_count: u32,
        creator: String,
    ) -> Result<OperationHandle> {
        let progress = Progress::queued(epoch_count);
        let (request_id, fingerprint, target) = (name.id().to_owned(), String::new(), target.clone());
        self.inner.operations.begin(name, NewOperation { request_id, fingerprint, target, progress, creator })
    }

    /// Starts the training of a model that is on record, once its operation is: whichever replica is asked for
    /// it next finds it. One that could not be recorded has not begun.
    async fn hand_over(&self, job: Job, handle: OperationHandle, recorded: Result<()>) -> Result<Operation> {
        if let Err(error) = recorded {
            let name = handle.name().clone();
            handle.withdraw();
            // Nothing of it is to be found before it is anybody's again.
            self.inner.operations.write_down().await.ok();
            self.inner.replica.board().release(&name).await.ok();
            return Err(error);
        }
        let operation = handle.operation().ok_or_else(|| Error::unexpected("an operation was lost"))?;
        // The store has logged why, if it fails; the journal tries again.
        self.inner.operations.write_down().await.ok();
        self.start(job, handle).await;
        Ok(operation)
    }

    async fn check_splits(
        &self,
        violations: &mut Violations,
        dataset: &ResourceName,
        splits: &[(&str, &str)],
    ) -> Result<()> {
        let dataset = match self.dataset(dataset).await {
            Ok(dataset) => dataset,
            Err(error @ Error::NotFound { .. }) => {
                violations.add("recipe.dataset", error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for (field, id) in splits {
            let known: Vec<&str> = dataset.splits.iter().map(|split| split.id.as_str()).collect();
            violations.check(known.contains(id), &format!("recipe.{field}"), || {
                format!("is not one of {}", known.join(", "))
            });
        }
        Ok(())
    }

    fn architecture(&self, source: &TeacherSource) -> Result<Architecture> {
        match source {
            TeacherSource::Train(architecture) => Ok(*architecture),
            TeacherSource::FineTune(base) => match self.known_teacher(base) {
                Ok(base) => Ok(base.architecture),
                Err(error) => Err(Error::invalid("fine_tune", error.to_string())),
            },
        }
    }
}

/// Notes what is wrong with a new model's id, display name and request id; answers its name.
pub fn check_identity(
    violations: &mut Violations,
    collections: &[&str],
    (id_field, id): (&str, &str),
    display_name: &str,
    request_id: &str,
) -> Option<ResourceName> {
    let is_uuid = request_id.is_empty() || Uuid::try_parse(request_id).is_ok();
    violations.check(is_uuid, "request_id", || "is not a UUID".to_owned());
    violations.check(display_name.chars().count() <= MAX_DISPLAY_NAME, "display_name", || {
        format!("is longer than {MAX_DISPLAY_NAME} characters")
    });
    violations.take(id_field, ResourceName::new(collections, &[id]))
}

/// A page watches all models at once, so there is a limit to them.
fn check_room(count: usize, name: &ResourceName) -> Result<()> {
    if count < MAX_MODEL_COUNT {
        return Ok(());
    }
    Err(Error::FailedPrecondition {
        reason: "TOO_MANY_MODELS",
        subject: name.to_string(),
        description: format!("there are {count} models of this kind, which is the limit: delete one first"),
    })
}
