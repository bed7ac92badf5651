//! A training from its turn to its end: follow the model service, judge the teacher, record the outcome.
//! A service that goes away is tried again: it resumes from its checkpoint.

use std::{task::Poll, time::Duration};

use domain::{Autoencoder, Error, ModelState, Progress, ResourceName, Result, Teacher, TrainingPhase};
use futures::{FutureExt, TryStreamExt, future::BoxFuture};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::Catalog;
use crate::{
    operations::OperationHandle,
    ports::{TrainingStream, TrainingUpdate},
};

/// Points of a loss curve that are kept.
const MAX_CURVE_POINTS: usize = 500;
/// Failures in a row after which a training fails, about two minutes of a service that is away.
const MAX_FAILURES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is trained. The rest is on its record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Job {
    Teacher(ResourceName),
    Autoencoder(ResourceName),
}

/// How a training's task ends.
enum End {
    Outcome(Result<()>),
    /// The process stops; the next one resumes it.
    Shutdown,
}

impl Job {
    pub(super) fn name(&self) -> &ResourceName {
        match self {
            Self::Teacher(name) | Self::Autoencoder(name) => name,
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
        self.inner.tasks.spawn(async move { catalog.run(job, handle, turn).await }.instrument(span));
    }

    /// Waits for the tasks of all trainings; they end soon after the shutdown token.
    pub async fn drained(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    async fn run(
        self,
        job: Job,
        handle: OperationHandle,
        turn: BoxFuture<'static, Result<OwnedSemaphorePermit>>,
    ) {
        let cancelled = handle.cancellation();
        let work = async {
            let _turn = turn.await?;
            match &job {
                Job::Teacher(name) => self.train_teacher(name, &handle).await,
                Job::Autoencoder(name) => self.train_autoencoder(name, &handle).await,
            }
        };
        let end = tokio::select! {
            biased;
            () = self.inner.shutdown.cancelled() => End::Shutdown,
            () = cancelled.cancelled() => End::Outcome(Err(Error::Cancelled)),
            outcome = work => End::Outcome(outcome),
        };
        match end {
            End::Shutdown => handle.abandon(),
            End::Outcome(outcome) => {
                if let Err(error) = &outcome {
                    tracing::warn!(model.name = %job.name(), %error, "a training ended without a model");
                    self.record_failure(&job, error).await;
                }
                handle.finish(outcome);
            }
        }
    }

    async fn train_teacher(&self, name: &ResourceName, handle: &OperationHandle) -> Result<()> {
        let mut teacher = Teacher::clone(&*self.teacher(name)?);
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
        let mut autoencoder = Autoencoder::clone(&*self.autoencoder(name)?);
        let recipe = autoencoder.recipe.clone();
        let trained = follow(handle, || self.inner.trainers.train_autoencoder(name, &recipe)).await?;
        autoencoder.digest = trained.digest;
        autoencoder.loss = Some(trained.loss);
        autoencoder.state = ModelState::Ready;
        self.inner.models.put_autoencoder(autoencoder).await?;
        report_finished(handle);
        Ok(())
    }

    async fn record_failure(&self, job: &Job, error: &Error) {
        let state = ModelState::Failed(words(error));
        let recorded = match job {
            Job::Teacher(name) => match self.teacher(name) {
                Ok(teacher) => self.inner.models.put_teacher(Teacher { state, ..Teacher::clone(&teacher) }).await,
                Err(error) => Err(error),
            },
            Job::Autoencoder(name) => match self.autoencoder(name) {
                Ok(model) => self.inner.models.put_autoencoder(Autoencoder { state, ..Autoencoder::clone(&model) }).await,
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

/// Follows the work that `begin` begins to its result, and begins again where a moment can help.
async fn follow<'a, T>(
    handle: &OperationHandle,
    begin: impl Fn() -> BoxFuture<'a, Result<TrainingStream<T>>>,
) -> Result<T> {
    let mut failure_count = 0;
    let mut pause = FIRST_PAUSE;
    loop {
        let (has_moved, result) = follow_once(handle, begin()).await;
        let error = match result {
            Err(error) if may_pass(&error) => error,
            result => return result,
        };
        if has_moved {
            (failure_count, pause) = (0, FIRST_PAUSE);
        }
        failure_count += 1;
        if failure_count >= MAX_FAILURES {
            return Err(error);
        }
        tracing::info!(%error, failure_count, pause_ms = pause.as_millis() as u64, "a training is tried again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One try, and whether it got anywhere.
async fn follow_once<T>(
    handle: &OperationHandle,
    begun: BoxFuture<'_, Result<TrainingStream<T>>>,
) -> (bool, Result<T>) {
    let mut has_moved = false;
    let mut updates = match begun.await {
        Ok(updates) => updates,
        Err(error) => return (has_moved, Err(error)),
    };
    loop {
        match updates.try_next().await {
            Ok(Some(TrainingUpdate::Progress(progress))) => {
                has_moved |= progress.step > 0;
                report(handle, progress);
            }
            Ok(Some(TrainingUpdate::Trained(result))) => return (has_moved, Ok(result)),
            Ok(None) => return (has_moved, Err(Error::unexpected("the training ended without a result"))),
            Err(error) => return (has_moved, Err(error)),
        }
    }
}

/// Nobody here has cancelled, so a cancelled call is a service that went away.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::UpstreamUnavailable { .. }
            | Error::QueueFull { .. }
            | Error::ModelNotReady { .. }
            | Error::Cancelled
            | Error::DeadlineExceeded
    )
}

/// Keeps the loss curve of the training while the evaluation, which has none, goes on.
fn report(handle: &OperationHandle, mut progress: Progress) {
    if progress.loss_curve.is_empty()
        && let Some(before) = handle.operation().map(|operation| operation.progress)
    {
        progress.loss_curve = before.loss_curve;
        if progress.phase == TrainingPhase::Evaluating {
            progress.epoch = before.epoch;
            progress.epoch_count = before.epoch_count;
        }
    }
    let excess = progress.loss_curve.len().div_ceil(MAX_CURVE_POINTS);
    if excess > 1 {
        let last = progress.loss_curve.len() - 1;
        let mut position = 0;
        // The last point stays: it is where the training is.
        progress.loss_curve.retain(|_| {
            position += 1;
            (position - 1) % excess == 0 && position - 1 + excess <= last || position - 1 == last
        });
    }
    handle.report(progress);
}

fn report_finished(handle: &OperationHandle) {
    if let Some(progress) = handle.operation().map(|operation| operation.progress) {
        handle.report(Progress { phase: TrainingPhase::Finished, remaining_seconds: 0.0, ..progress });
    }
}
