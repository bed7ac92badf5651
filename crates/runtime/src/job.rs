//! One training as a process of its own: a file says what, the end of the process says how it went. For
//! machines that are lent by the hour and taken back without notice: what is started again goes on.

use std::{path::Path, process::ExitCode, time::Duration};

use domain::{Error, Progress, Result};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::long::LongTask;

/// The exit code of a training that was asked to stop and left a checkpoint: start it again, and it goes on.
/// `EX_TEMPFAIL` of sysexits.h.
pub const STOPPED: u8 = 75;

/// Largest file that says what to train.
const MAX_SPEC_BYTES: u64 = 1 << 20;
/// What the step at hand and the last checkpoint may take.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(11);
/// Between two lines of the log.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How a piece of the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<T> {
    /// It is done.
    Done(T),
    /// The process was asked to stop.
    Stopped,
}

/// Reads what to train: TOML, or JSON where the file's name ends so. Fields that are not known are mistakes.
pub fn read_spec<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let wrong = |error: &dyn std::fmt::Display| Error::invalid("--config", format!("{}: {error}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| wrong(&error))?.len();
    if size > MAX_SPEC_BYTES {
        return Err(wrong(&format!("is larger than {MAX_SPEC_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    if file.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str(&text).map_err(|error| wrong(&error))
    } else {
        toml::from_str(&text).map_err(|error| wrong(&error))
    }
}

/// Follows a training to its end. Asked to stop, it ends within its step and a checkpoint, 11 seconds at most.
pub async fn follow<T>(mut task: LongTask<Progress, T>, shutdown: &CancellationToken) -> Result<End<T>> {
    let mut told_at: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            changed = task.progress.changed() => if changed.is_err() {
                return task.finished().await.map(End::Done);
            }
        }
        let progress = task.progress.borrow_and_update().clone();
        if told_at.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL) {
            told_at = Some(Instant::now());
            report(&progress);
        }
    }
    task.cancel();
    match timeout(CHECKPOINT_LIMIT, task.finished()).await {
        // It was quicker than the signal.
        Ok(Ok(done)) => Ok(End::Done(done)),
        Ok(Err(Error::Cancelled)) => Ok(End::Stopped),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            tracing::warn!("the training did not stop in time; the checkpoint before the last step stands");
            Ok(End::Stopped)
        }
    }
}

/// Tells the log how far a training is.
pub fn report(progress: &Progress) {
    let Progress { phase, epoch, epoch_count, step, step_count, loss, remaining_seconds, .. } = progress;
    tracing::info!(?phase, epoch, epoch_count, step, step_count, loss, remaining_seconds, "training");
}

/// What the process ends with: 0 when all is done and stored, [`STOPPED`] when it should be started again, 1
/// when that would not help, with the reason in the log.
pub fn exit_code(outcome: Result<End<()>>) -> ExitCode {
    match outcome {
        Ok(End::Done(())) => ExitCode::SUCCESS,
        Ok(End::Stopped) => ExitCode::from(STOPPED),
        Err(error) => {
            tracing::error!(%error, "the training failed");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{gate::Gate, long::TrainingQueue};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Spec {
        name: String,
        seed: Option<u64>,
    }

    fn read(name: &str, text: &str) -> Result<Spec> {
        let file = std::env::temp_dir().join(format!("runtime-job-{}-{name}", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let spec = read_spec(&file);
        std::fs::remove_file(&file).unwrap();
        spec
    }

    #[test]
    fn both_notations_are_read_and_mistakes_are_told_with_their_place() {
        let spec = Spec { name: "t".to_owned(), seed: Some(3) };
        assert_eq!(read("a.toml", "name = \"t\"\nseed = 3\n"), Ok(spec));
        assert_eq!(read("a.json", "{\"name\": \"t\"}"), Ok(Spec { name: "t".to_owned(), seed: None }));
        let told = read("b.toml", "name = \"t\"\nsede = 3\n").unwrap_err().to_string();
        assert!(told.contains("sede") && told.contains("line 2"), "{told}");
        assert!(read_spec::<Spec>(Path::new("/no/such/file")).is_err());
    }

    #[tokio::test]
    async fn a_training_that_is_asked_to_stop_ends_within_its_step() {
        let queue = TrainingQueue::new(Gate::new());
        let shutdown = CancellationToken::new();
        let endless = queue.start("endless", CancellationToken::new(), Progress::queued(1), |context| -> Result<()> {
            loop {
                context.check()?;
                context.step(std::thread::yield_now);
            }
        });
        let endless = endless.unwrap();
        let stop = shutdown.clone();
        tokio::spawn(async move { stop.cancel() });
        assert_eq!(follow(endless, &shutdown).await, Ok(End::Stopped));
        let quick = queue.start("quick", CancellationToken::new(), Progress::queued(1), |_| Ok(7)).unwrap();
        assert_eq!(follow(quick, &CancellationToken::new()).await, Ok(End::Done(7)));
        let broken = queue.start("broken", CancellationToken::new(), Progress::queued(1), |_| -> Result<()> {
            Err(Error::unexpected("no such layer"))
        });
        let broken = broken.unwrap();
        assert!(follow(broken, &CancellationToken::new()).await.is_err());
    }
}
