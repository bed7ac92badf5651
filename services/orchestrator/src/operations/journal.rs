//! Writes operations down, behind the callers' backs: nobody waits for the disk to begin or end one.

use std::time::Duration;

use domain::Result;
use tokio_util::sync::CancellationToken;

use super::Operations;

/// Between two tries when the store does not take records.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);

impl Operations {
    /// Writes every change until `shutdown`, then once more what is left. What is unwritten is bounded
    /// by the number of operations: several changes of one are one record.
    pub async fn keep_journal(self, shutdown: CancellationToken) {
        let mut changes = self.changes();
        // What was begun before this task ran is not announced again.
        changes.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                // The sender lives in `self`.
                _ = changes.changed() => {}
            }
            if self.write_down().await.is_err() {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(PAUSE_AFTER_FAILURE) => changes.mark_changed(),
                }
            }
        }
        // The store has logged why, if it fails; the process ends either way.
        self.write_down().await.ok();
    }

    /// Writes what has changed since the last time. One write at a time, so that an older state of an
    /// operation never comes after a newer one.
    pub async fn write_down(&self) -> Result<()> {
        let _one_at_a_time = self.shared.writing.lock().await;
        let unwritten = self.registry().take_unwritten();
        let mut outcome = Ok(());
        for (name, operation) in unwritten {
            let written = match (&outcome, operation) {
                (Err(_), _) => Err(None),
                (Ok(()), Some(operation)) => self.shared.records.put_operation(&operation).await.map_err(Some),
                (Ok(()), None) => self.shared.records.delete(&name).await.map_err(Some),
            };
            self.registry().written(name, written.is_ok());
            if let Err(Some(error)) = written {
                outcome = Err(error);
            }
        }
        outcome
    }
}
