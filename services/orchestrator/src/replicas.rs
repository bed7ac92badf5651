//! Which orchestrator does what, where several share one artifact store.
//!
//! Every replica serves every resource: it mirrors all records, and looks at the store's listing every
//! [`Timing::refresh`] and whenever it is asked for something it does not know. Only a training has an owner,
//! because it must not be done twice. All of this is small documents under `catalog/`:
//!
//! ```text
//! claims/{o}     whose the operation is: a replica's id. Written on condition: made, or taken from whom it was read
//! replicas/{r}   the heartbeat of a replica that owns something: a number that counts up
//! requests/{o}   somebody wants this work to end, or to be looked at again
//! ```
//!
//! ```text
//!            claimed at its creation             its end is on record
//!  (none) ───────────────────────────> owned ───────────────────────────> done, claim released
//!                                       │ ^
//!     no heartbeat for Timing::dead,    │ │  claimed from its dead owner by whoever is first,
//!     or it left                        v │  and resumed from the last checkpoint
//!                                     orphan
//! ```
//!
//! - A heartbeat is judged by its observer's own clock: a replica is dead when its heartbeat has not *changed*
//!   for [`Timing::dead`] of watching, or is not there. No two clocks are compared.
//! - In a folder a process that beats also holds a lock. One that can be taken proves that the process was
//!   killed: then nobody waits. One that cannot proves nothing, and the heartbeat decides.
//! - An owner whose last heartbeat is older than [`Timing::fence`] lets go of all that it owns, before anybody
//!   may take it. A process that was stopped and wakes up later does so at its first look at the clock; what it
//!   writes until then is what its successor writes, because trainings are seeded.
//! - A request to cancel goes to the owner itself, or onto the board, where the owner finds it at its next look.
//! - What a killed replica left on the board is taken off it by whoever has seen it dead for eight times
//!   [`Timing::dead`]. One that lives after all shows itself again with its next heartbeat.
//! - A record that this replica owns is written by nobody else; all others are taken as they are read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{Error, ResourceName, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    operations::Operations,
    ports::{Board, Stamp},
};

/// How quickly replicas notice each other's doings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a replica that owns something, at least 10 ms. Buckets take one write of an
    /// object a second.
    pub beat: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { beat: Duration::from_secs(2) }
    }
}

impl Timing {
    /// Between two looks at the store's listing.
    pub fn refresh(&self) -> Duration {
        self.beat / 2
    }

    /// After so long without a heartbeat, an owner lets go.
    pub fn fence(&self) -> Duration {
        self.beat * 3
    }

    /// After so long without a heartbeat, others take over.
    pub fn dead(&self) -> Duration {
        self.beat * 4
    }

    /// A replica goes on beating for so long after its last claim, which it may not have put to use yet.
    fn linger(&self) -> Duration {
        self.beat * 10
    }
}

/// This process among the replicas.
pub struct Replica {
    id: String,
    timing: Timing,
    board: Arc<dyn Board>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    beat_count: u64,
    /// When the last heartbeat that arrived was sent.
    beaten_at: Option<Instant>,
    claimed_at: Option<Instant>,
    /// Heartbeats of all replicas, and when each was first seen like that.
    heard: HashMap<String, (Stamp, Instant)>,
}

impl Replica {
    /// A replica that owns nothing yet, under a name of its own.
    pub fn new(board: Arc<dyn Board>, timing: Timing) -> Self {
        Self { id: Uuid::new_v4().to_string(), timing, board, state: Mutex::default() }
    }

    /// How quickly it notices things.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// The shared board.
    pub fn board(&self) -> &dyn Board {
        &*self.board
    }

    /// Whether this is the replica's own id.
    pub fn is(&self, id: &str) -> bool {
        self.id == id
    }

    /// Takes an operation from its owner, or as the first one; says whether it is ours now. Others see that
    /// we are alive before they see that it is ours.
    pub async fn claim(&self, operation: &ResourceName, from: Option<&str>) -> Result<bool> {
        self.state().claimed_at = Some(Instant::now());
        if self.silent_for().is_none_or(|silence| silence >= self.timing.beat / 2) {
            // Whoever owns something already is watched by `keep_alive`, which is not so patient.
            self.beat(self.timing.dead()).await?;
        }
        self.board.claim(operation, &self.id, from).await
    }

    /// Notes what a listing tells of the other replicas.
    pub fn hear(&self, heartbeats: &BTreeMap<String, Stamp>) {
        let now = Instant::now();
        let heard = &mut self.state().heard;
        heard.retain(|id, _| heartbeats.contains_key(id));
        for (id, stamp) in heartbeats {
            let entry = heard.entry(id.clone()).or_insert_with(|| (stamp.clone(), now));
            if entry.0 != *stamp {
                *entry = (stamp.clone(), now);
            }
        }
    }

    /// Whether another replica may still be at work.
    pub fn is_alive(&self, id: &str) -> bool {
        self.state().heard.get(id).is_some_and(|(_, since)| since.elapsed() < self.timing.dead())
    }

    /// Whether another replica is gone: its heartbeat says so, or, at once, the lock that its process held.
    pub async fn is_dead(&self, id: &str) -> bool {
        if !self.is_alive(id) {
            return true;
        }
        match self.board.bury(id).await {
            Ok(true) => {
                self.state().heard.remove(id);
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::warn!(%error, "whether a replica has ended is seen by its heartbeat alone");
                false
            }
        }
    }

    /// Beats while anything is owned, until `shutdown`; then leaves, so that others need not wait. An owner
    /// that could not show its heartbeat loses all that it owns.
    pub async fn keep_alive(&self, operations: Operations, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(self.timing.beat) => {}
            }
            let lingers = self.state().claimed_at.is_some_and(|at| at.elapsed() < self.timing.linger());
            if operations.owns_any() || lingers {
                if let Err(error) = self.beat(self.timing.beat).await {
                    tracing::warn!(%error, "no heartbeat could be shown");
                }
                if operations.owns_any() && self.silent_for().is_none_or(|silence| silence > self.timing.fence()) {
                    tracing::warn!("this replica lets go of its trainings: it cannot show that it is alive");
                    operations.lose_all();
                }
            } else if self.silent_for().is_some() {
                self.leave().await;
            }
        }
        self.leave().await;
    }

    /// Tells the others that nothing is owned here any more.
    async fn leave(&self) {
        let has_beaten = self.state().beaten_at.take().is_some();
        if has_beaten && self.board.leave(&self.id).await.is_err() {
            tracing::warn!("the last heartbeat stays on the board: others take over a little later");
        }
    }

    /// Shows a heartbeat, if it arrives in time.
    async fn beat(&self, limit: Duration) -> Result<()> {
        let sent_at = Instant::now();
        let count = {
            let mut state = self.state();
            state.beat_count += 1;
            state.beat_count
        };
        let arrived = tokio::time::timeout(limit, self.board.beat(&self.id, count)).await;
        arrived.map_err(|_| Error::UpstreamUnavailable { service: "artifact store".to_owned() })??;
        let mut state = self.state();
        state.beaten_at = state.beaten_at.max(Some(sent_at));
        Ok(())
    }

    fn silent_for(&self) -> Option<Duration> {
        self.state().beaten_at.map(|at| at.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
