//! The task that reaches Redis again after a failure: at once, then ever less often.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::guard::Guard;

/// A Redis that stayed reachable for so long is reached again at once the next time.
const STEADY: Duration = Duration::from_secs(10);

/// The task that reaches Redis again. Dropping it ends the task.
pub(super) struct Prober(JoinHandle<()>);

impl Prober {
    /// Begins with the next failure.
    pub(super) fn start(guard: &Arc<Guard>) -> Self {
        Self(tokio::spawn(keep_reaching(Arc::clone(guard))))
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep_reaching(guard: Arc<Guard>) {
    let limits = guard.limits;
    let mut pause = limits.pause;
    let mut reached = Instant::now();
    loop {
        guard.failed.notified().await;
        if reached.elapsed() >= STEADY {
            pause = limits.pause;
        }
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(limits.longest_pause);
            match guard.reach().await {
                Ok(()) => break,
                Err(error) => guard.still_failing(&error),
            }
        }
        reached = Instant::now();
    }
}
