//! Following the long work of a model service: its progress becomes the operation's, and a service that
//! goes away is asked again, because it resumes from its checkpoint.

use std::time::Duration;

use domain::{Error, Progress, Result, TrainingPhase};
use futures::{TryStreamExt, future::BoxFuture};

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

/// Follows the work that `begin` begins to its result, and begins again where a moment can help.
pub(super) async fn follow<'a, T>(
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
    let points = progress.loss_curve.len().div_ceil(MAX_CURVE_POINTS).max(1);
    // The last of each group, so that the curve ends where the training is.
    progress.loss_curve = progress.loss_curve.chunks(points).filter_map(|group| group.last().copied()).collect();
    handle.report(progress);
}
