//! A training from its turn to its end: have the model service do the work, judge the teacher, record the
//! outcome.

use std::task::Poll;

use domain::{Autoencoder, Error, ModelState, Progress, ResourceName, Result, Teacher, TrainingPhase};
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::{Catalog, following::follow};
use crate::{
    caller::{ANONYMOUS, Caller},
    measured::TrainingUnderWay,
    operations::OperationHandle,
};

/// What is trained. The rest is on its record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Job {
    Teacher(ResourceName),
    Autoencoder(ResourceName),
}

/// How a training's task ends.
enum End {
    Outcome(Result<()>),
    /// The process stops, or has lost its claim; another one resumes it.
    Abandoned,
}

impl Job {
    pub(super) fn name(&self) -> &ResourceName {
        match self {
            Self::Teacher(name) | Self::Autoencoder(name) => name,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Teacher(_) => "teacher",
            Self::Autoencoder(_) => "autoencoder",
        }
    }
}

impl Catalog {
    /// Queues a training behind those that were started before it.
    pub(super) async fn start(&self, job: Job, handle: OperationHandle) {
        let mut turn = Box::pin(self.inner.turn.clone().acquire_owned());
        // The first poll takes the place in the queue, which is fair: here, not whenever the task runs.
        let turn: BoxFuture<'static, _> = match futures::poll!(turn.as_mut()) {
            Poll::Ready(permit) => std::future::ready(permit).boxed(),
            Poll::Pending => turn,
        };
        let span = tracing::info_span!("train", model.name = %job.name(), operation.name = %handle.name());
        let catalog = self.clone();
        let turn = turn.map(|permit| permit.map_err(Error::unexpected)).boxed();
        let creator = handle.operation().map_or_else(|| ANONYMOUS.to_owned(), |operation| operation.creator);
        let run = async move { catalog.run(job, handle, turn).await };
        self.inner.tasks.spawn(Caller::context_of(&creator).scope(run).instrument(span));
    }

    /// Waits for the tasks of all trainings; they end soon after the shutdown token.
    pub async fn drained(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    async fn run(self, job: Job, handle: OperationHandle, turn: BoxFuture<'static, Result<OwnedSemaphorePermit>>) {
        let (cancelled, lost) = (handle.cancellation(), handle.loss());
        let under_way = TrainingUnderWay::queued(job.kind());
        let work = async {
            let _turn = turn.await?;
            under_way.runs();
            match &job {
                Job::Teacher(name) => self.train_teacher(name, &handle).await,
                Job::Autoencoder(name) => self.train_autoencoder(name, &handle).await,
            }
        };
        let end = tokio::select! {
            biased;
            () = self.inner.shutdown.cancelled() => End::Abandoned,
            () = lost.cancelled() => End::Abandoned,
            () = cancelled.cancelled() => End::Outcome(Err(Error::Cancelled)),
            outcome = work => End::Outcome(outcome),
        };
        match end {
            End::Abandoned => handle.abandon(),
            End::Outcome(outcome) => {
                under_way.ended(&outcome);
                if let Err(error) = &outcome {
                    tracing::warn!(model.name = %job.name(), %error, "a training ended without a model");
                    self.record_failure(&job, error).await;
                }
                handle.finish(outcome);
            }
        }
    }

    async fn train_teacher(&self, name: &ResourceName, handle: &OperationHandle) -> Result<()> {
        let mut teacher = Teacher::clone(&*self.known_teacher(name)?);
        let recipe = teacher.recipe.clone();
        let trainers = &self.inner.trainers;
        // A restart during the evaluation finds the weights on record.
        if teacher.digest.is_empty() {
            let trained = follow(handle, || trainers.train_teacher(name, &recipe)).await?;
            teacher.digest = trained.digest;
            teacher.engine = trained.engine;
            teacher.architecture = trained.architecture;
            self.inner.models.put_teacher(teacher.clone()).await?;
        }
        let split = &recipe.evaluation_split;
        follow(handle, || trainers.evaluate_teacher(name, &recipe.dataset, split)).await?;
        let evaluation = self.evaluation_if_stored(name, &recipe.dataset, split).await?;
        let evaluation = evaluation.ok_or_else(|| Error::unexpected("the evaluation is not that of these weights"))?;
        teacher.accuracy = evaluation.confusion_matrix().accuracy();
        teacher.evaluated_example_count = evaluation.example_count();
        teacher.state = ModelState::Ready;
        self.inner.models.put_teacher(teacher).await?;
        report_finished(handle);
        Ok(())
    }

    async fn train_autoencoder(&self, name: &ResourceName, handle: &OperationHandle) -> Result<()> {
        let mut autoencoder = Autoencoder::clone(&*self.known_autoencoder(name)?);
        let recipe = autoencoder.recipe.clone();
        let trained = follow(handle, || self.inner.trainers.train_autoencoder(name, &recipe)).await?;
        autoencoder.digest = trained.digest;
        autoencoder.loss = Some(trained.loss);
        autoencoder.state = ModelState::Ready;
        self.inner.models.put_autoencoder(autoencoder).await?;
        report_finished(handle);
        Ok(())
    }

    pub(super) async fn record_failure(&self, job: &Job, error: &Error) {
        let state = ModelState::Failed(words(error));
        let recorded = match job {
            Job::Teacher(name) => match self.known_teacher(name) {
                Ok(teacher) => self.inner.models.put_teacher(Teacher { state, ..Teacher::clone(&teacher) }).await,
                Err(error) => Err(error),
            },
            Job::Autoencoder(name) => match self.known_autoencoder(name) {
                Ok(model) => {
                    self.inner.models.put_autoencoder(Autoencoder { state, ..Autoencoder::clone(&model) }).await
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = recorded {
            tracing::error!(model.name = %job.name(), %error, "a failed training could not be recorded");
        }
    }
}

/// What people are told of a training that failed.
fn words(error: &Error) -> String {
    match error {
        Error::Cancelled => "the training was cancelled".to_owned(),
        Error::Unexpected(_) => "the training failed unexpectedly; the log has the cause".to_owned(),
        other => other.to_string(),
    }
}

fn report_finished(handle: &OperationHandle) {
    if let Some(progress) = handle.operation().map(|operation| operation.progress) {
        handle.report(Progress { phase: TrainingPhase::Finished, remaining_seconds: 0.0, ..progress });
    }
}
