//! What a restart does with the models that were being made.

use domain::{Error, ModelState, ResourceName, Result};

use super::{Catalog, training::Job};

impl Catalog {
    /// Goes on with the trainings that ran when the process before this one ended, oldest first, and
    /// tells the ends that were on the models' records but not on the operations'.
    pub async fn resume(&self) -> Result<()> {
        let set = self.models();
        let teachers = set.teachers.values().map(|teacher| {
            let job = Job::Teacher(teacher.name.clone());
            (teacher.create_time, job, teacher.state.clone(), teacher.operation.clone(), teacher.recipe.epoch_count)
        });
        let autoencoders = set.autoencoders.values().map(|model| {
            let job = Job::Autoencoder(model.name.clone());
            (model.create_time, job, model.state.clone(), model.operation.clone(), model.recipe.epoch_count)
        });
        let mut models: Vec<_> = teachers.chain(autoencoders).collect();
        models.sort_by_key(|(create_time, ..)| *create_time);
        for (_, job, state, operation, epoch_count) in models {
            let operation = ResourceName::parse(&operation, ResourceName::OPERATION)?;
            let handle = self.inner.operations.resume(&operation);
            match (state, handle) {
                (ModelState::Training, Some(handle)) => self.start(job, handle).await,
                (ModelState::Training, None) => {
                    // Its record was not written in time; the name is the same again.
                    self.inner.operations.delete(&operation).ok();
                    let handle = self.begin(job.name(), epoch_count, operation.id().to_owned(), String::new())?;
                    self.start(job, handle).await;
                }
                (ModelState::Ready, Some(handle)) => handle.finish(Ok(())),
                (ModelState::Failed(why), Some(handle)) => handle.finish(Err(Error::FailedPrecondition {
                    reason: "TRAINING_FAILED",
                    subject: job.name().to_string(),
                    description: why,
                })),
                (ModelState::Ready | ModelState::Failed(_), None) => {}
            }
        }
        Ok(())
    }
}
