//! A training as a stream of progress that ends with what was trained. Dropping it stops the training.

use domain::{Error, Progress, Result, TrainingPhase};
use futures::{Stream, stream};
use proto::raw::deeper::vae::v1 as raw;
use runtime::long::LongTask;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::models::Trained;

enum State {
    Running { task: LongTask<Progress, Trained>, first: bool, draining: CancellationToken, _stop: DropGuard },
    Ended,
}

/// The first message is where the training stands now. When the process drains, the training is stopped
/// with its state kept, and the caller is told that the service is going.
pub(super) fn progress_stream(
    task: LongTask<Progress, Trained>,
    draining: CancellationToken,
) -> impl Stream<Item = Result<raw::TrainAutoencoderResponse>> + Send {
    let _stop = task.cancellation.clone().drop_guard();
    let running = State::Running { task, first: true, draining, _stop };
    stream::unfold(running, |state| async move {
        let State::Running { mut task, first, draining, _stop } = state else { return None };
        let more = first || changed(&mut task, &draining).await;
        if more {
            let progress = task.progress.borrow_and_update().clone();
            return Some((Ok(response(&progress, None)), State::Running { task, first: false, draining, _stop }));
        }
        let last = task.progress.borrow().clone();
        let outcome = match task.finished().await {
            Ok(trained) => Ok(response(&Progress { phase: TrainingPhase::Finished, ..last }, Some(trained))),
            Err(Error::Cancelled) if draining.is_cancelled() => {
                Err(Error::UpstreamUnavailable { service: "vae".to_owned() })
            }
            Err(error) => Err(error),
        };
        Some((outcome, State::Ended))
    })
}

/// Waits for news; `false` once there will be none, because the training has ended or was told to.
async fn changed(task: &mut LongTask<Progress, Trained>, draining: &CancellationToken) -> bool {
    tokio::select! {
        changed = task.progress.changed() => changed.is_ok(),
        () = draining.cancelled() => {
            task.cancel();
            false
        }
    }
}

fn response(progress: &Progress, trained: Option<Trained>) -> raw::TrainAutoencoderResponse {
    let trained = trained.map(|Trained { digest, loss }| raw::TrainedAutoencoder { digest, loss });
    raw::TrainAutoencoderResponse { progress: Some(progress.into()), trained }
}
