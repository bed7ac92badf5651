//! Long work as streams of snapshots: the newest is sent, slow readers miss some, nobody waits.

use std::time::Duration;

use domain::{Error, Progress, Result, TrainingPhase};
use futures::{Stream, StreamExt, stream, stream::BoxStream};
use proto::raw::deeper::{
    teacher::v1::{EvaluateTeacherResponse, TrainTeacherResponse, TrainedTeacher as RawTrainedTeacher},
    types::v1 as raw,
};
use runtime::{call::Context, long::LongTask, status::from_error};
use tonic::Status;

use crate::workshop::TrainedTeacher;

/// Two snapshots are at least so far apart: a small network takes hundreds of steps a second.
const SNAPSHOT_DISTANCE: Duration = Duration::from_millis(100);

/// Snapshots of a training, then what it left behind. When the process drains, the training is asked to
/// end and writes its checkpoint before the stream ends.
pub(super) fn training(
    task: LongTask<Progress, TrainedTeacher>,
    context: Context,
) -> BoxStream<'static, Result<TrainTeacherResponse, Status>> {
    let mut task = task;
    // The first snapshot is news too.
    task.progress.mark_changed();
    let running = (task, context, None);
    stream::unfold(Some(running), |running| async {
        let (mut task, context, last): (LongTask<_, _>, Context, Option<Progress>) = running?;
        if last.is_some() {
            tokio::select! {
                () = tokio::time::sleep(SNAPSHOT_DISTANCE) => {}
                () = ended(&mut task) => {}
            }
        }
        let changed = tokio::select! {
            changed = task.progress.changed() => changed.is_ok(),
            () = context.draining.cancelled(), if !task.cancellation.is_cancelled() => {
                task.cancel();
                // Only its end is waited for now.
                false
            }
        };
        if changed {
            let progress = task.progress.borrow_and_update().clone();
            let message = TrainTeacherResponse { progress: Some((&progress).into()), trained: None };
            return Some((Ok(message), Some((task, context, Some(progress)))));
        }
        let latest = task.progress.borrow().clone();
        let outcome = task.finished().await.map_err(|error| match error {
            Error::Cancelled if context.draining.is_cancelled() => stopping(),
            other => other,
        });
        let last = outcome.map(|trained| finished(latest, trained)).map_err(from_error);
        Some((last, None))
    })
    .boxed()
}

/// Waits until the work has ended; its last report is then the newest.
async fn ended(task: &mut LongTask<Progress, TrainedTeacher>) {
    let mut progress = task.progress.clone();
    while progress.changed().await.is_ok() {}
}

fn finished(mut progress: Progress, trained: TrainedTeacher) -> TrainTeacherResponse {
    progress.phase = TrainingPhase::Finished;
    progress.remaining_seconds = 0.0;
    let TrainedTeacher { digest, engine, architecture } = trained;
    let trained = RawTrainedTeacher { digest, engine, architecture: raw::Architecture::from(architecture).into() };
    TrainTeacherResponse { progress: Some((&progress).into()), trained: Some(trained) }
}

/// Snapshots of an evaluation, each drawn when it is asked for. Ends when the process drains.
pub(super) fn evaluation(
    snapshots: impl Stream<Item = Result<Progress>> + Send + 'static,
    context: Context,
) -> BoxStream<'static, Result<EvaluateTeacherResponse, Status>> {
    let running = (snapshots.boxed(), context);
    stream::unfold(Some(running), |running| async {
        let (mut snapshots, context) = running?;
        let snapshot = tokio::select! {
            snapshot = snapshots.next() => snapshot?,
            () = context.draining.cancelled() => Err(stopping()),
        };
        let goes_on = snapshot.is_ok();
        let message = snapshot.map(|progress| EvaluateTeacherResponse { progress: Some((&progress).into()) });
        Some((message.map_err(from_error), goes_on.then_some((snapshots, context))))
    })
    .boxed()
}

fn stopping() -> Error {
    Error::UpstreamUnavailable { service: "teacher".to_owned() }
}
