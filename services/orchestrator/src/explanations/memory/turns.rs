//! Who computes what several replicas are asked at once: the one that has the lease. The others wait for
//! what it makes, tell their own watchers how far it is, and do the work themselves if it dies or dawdles.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::Stage;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{super::instance::EncodedInstance, Memory, key::SharedKeys, shared::Shared};
use crate::{
    explain::{Question, Snapshot},
    ports::{Acquired, Lease, Store},
};

/// How long a lease outlives its owner.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// An owner that is alive renews it so often.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How often an owner tells how far it is, and keeps the neighbors that it has.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// A waiter looks after so long, ...
const FIRST_LOOK: Duration = Duration::from_millis(10);
/// ... then after twice as long, up to this.
const LOOK_EVERY: Duration = Duration::from_millis(160);
/// A waiter does the work itself when it has seen no progress for so long, although the lease is renewed.
const NO_PROGRESS: Duration = Duration::from_secs(15);
/// The longest wait, whatever is seen.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Whose turn it is to make a value.
pub enum Turn<T> {
    /// Nobody's: it is there.
    Found(T),
    /// This replica's; without a lease where the store gave none.
    Ours(Option<Held>),
}

/// A lease that is given back when it is dropped.
pub struct Held {
    store: Arc<dyn Store>,
    /// Written by `keep`.
    lease: Mutex<Lease>,
}

impl Held {
    pub(super) fn new(store: &Arc<dyn Store>, lease: Lease) -> Self {
        Self { store: Arc::clone(store), lease: Mutex::new(lease) }
    }

    /// Does work for which the lease is kept.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            () = self.keep() => unreachable!("a lease is kept until the work is done"),
        }
    }

    /// Renews the lease for as long as it is polled. One that was lost, to a pause or with its store, is taken
    /// again as soon as it is free.
    async fn keep(&self) {
        loop {
            sleep(RENEW_EVERY).await;
            let lease = self.lease();
            if !self.store.renew(&lease, LEASE).await
                && let Acquired::Held(again) = self.store.acquire(&lease.key, LEASE).await
            {
                *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = again;
            }
        }
    }

    fn lease(&self) -> Lease {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (store, lease) = (Arc::clone(&self.store), self.lease());
        // Ends by itself: one call of a store that answers at once or not at all.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { store.release(&lease).await });
        }
    }
}

/// Does work whose result others wait for.
pub async fn holding<T>(held: &Option<Held>, work: impl Future<Output = T>) -> T {
    match held {
        // On the heap: a whole run in each of three futures, one in the other, is more than a thread's stack takes.
        Some(held) => held.during(Box::pin(work)).await,
        None => work.await,
    }
}

impl Shared {
    /// Finds an instance, or waits for the replica that encodes it, or says that this one is to.
    pub(super) async fn turn_for_instance(&self, keys: &SharedKeys) -> Turn<EncodedInstance> {
        let mut wait = Wait::begin();
        loop {
            // The lease first: what was made before it was given back is found then.
            let acquired = self.acquire(keys).await;
            if let Some(found) = self.instance(keys).await {
                return Turn::Found(found);
            }
            if let Some(ours) = acquired {
                return Turn::Ours(ours);
            }
            if !wait.goes_on().await {
                return Turn::Ours(None);
            }
        }
    }

    /// `None`: somebody else has it.
    async fn acquire(&self, keys: &SharedKeys) -> Option<Option<Held>> {
        match self.store.acquire(&keys.lease(), LEASE).await {
            Acquired::Held(lease) => Some(Some(Held::new(&self.store, lease))),
            Acquired::Unknown => Some(None),
            Acquired::Taken => None,
        }
    }
}

impl Memory {
    /// Finds a whole answer, or waits for the replica that computes it, or says that this one is to.
    pub async fn turn(&self, question: &Question, progress: &watch::Sender<Snapshot>) -> Turn<Snapshot> {
        let shared = &self.shared;
        if !shared.store.is_shared() {
            return Turn::Ours(None);
        }
        let keys = SharedKeys::answer(question);
        let mut wait = Wait::begin();
        let mut seen = None;
        let ours = loop {
            let acquired = shared.acquire(&keys).await;
            if let Some(found) = shared.answer(question).await {
                return Turn::Found(found);
            }
            if let Some(ours) = acquired {
                break ours;
            }
            if let Some((theirs, count)) = shared.progress(question).await {
                let student_size = theirs.student.as_ref().map(|student| student.neighbor_count);
                let now = Some((theirs.stage, count, student_size));
                if seen != now {
                    seen = now;
                    wait.progressed();
                    let known = progress.borrow().neighborhood.clone();
                    let neighborhood = shared.extend(question, known, count).await;
                    // Only its own end completes a run.
                    let stage = theirs.stage.min(Stage::Distilling);
                    progress.send_replace(Snapshot { stage, neighborhood, ..theirs });
                }
            }
            if !wait.goes_on().await {
                break None;
            }
        };
        if seen.is_some() {
            // What the other one had shared is found again as known; its run begins anew here.
            progress.send_replace(Snapshot::default());
        }
        Turn::Ours(ours)
    }

    /// Shares how far a run is, again and again for as long as it is polled.
    pub async fn tell(&self, question: &Question, mut snapshots: watch::Receiver<Snapshot>) {
        if !self.shared.store.is_shared() {
            return std::future::pending().await;
        }
        loop {
            sleep(TELL_EVERY).await;
            let snapshot = snapshots.borrow_and_update().clone();
            if snapshot.instance.is_some() {
                self.shared.put_neighborhood(question, &snapshot.neighborhood).await;
                self.shared.put_progress(question, &snapshot).await;
            }
            if snapshots.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Shares what a run has made: its neighbors, and if it is one, a whole answer. Then others may begin.
    pub async fn share(&self, question: &Question, snapshot: &Snapshot, is_whole: bool, held: Option<Held>) {
        if !self.shared.store.is_shared() {
            return;
        }
        let work = async {
            self.shared.put_neighborhood(question, &snapshot.neighborhood).await;
            if is_whole {
                self.shared.put_answer(question, snapshot).await;
            }
        };
        holding(&held, work).await;
    }
}

/// How long to wait for another replica.
struct Wait {
    pause: Duration,
    began: Instant,
    progressed: Instant,
}

impl Wait {
    fn begin() -> Self {
        let now = Instant::now();
        Self { pause: FIRST_LOOK, began: now, progressed: now }
    }

    fn progressed(&mut self) {
        self.progressed = Instant::now();
    }

    /// Waits until the next look; `false` when it has waited long enough.
    async fn goes_on(&mut self) -> bool {
        if self.progressed.elapsed() >= NO_PROGRESS || self.began.elapsed() >= LONGEST_WAIT {
            return false;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LOOK_EVERY);
        true
    }
}
