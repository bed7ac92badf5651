//! Facts about heartbeats, on a clock that the test moves.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use domain::{Progress, TrainingPhase};

use super::*;
use crate::{operations::NewOperation, records::StoredRecords};

/// A board that can be cut off.
struct Cut {
    records: StoredRecords,
    is_cut: AtomicBool,
}

impl Cut {
    fn check(&self) -> Result<()> {
        match self.is_cut.load(Ordering::SeqCst) {
            true => Err(Error::UpstreamUnavailable { service: "artifact store".to_owned() }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Board for Cut {
    async fn beat(&self, replica: &str, count: u64) -> Result<()> {
        self.check()?;
        self.records.beat(replica, count).await
    }

    async fn leave(&self, replica: &str) -> Result<()> {
        self.check()?;
        self.records.leave(replica).await
    }

    async fn bury(&self, replica: &str) -> Result<bool> {
        self.records.bury(replica).await
    }

    async fn owner(&self, operation: &ResourceName) -> Result<Option<String>> {
        self.records.owner(operation).await
    }

    async fn claim(&self, operation: &ResourceName, replica: &str, from: Option<&str>) -> Result<bool> {
        self.check()?;
        self.records.claim(operation, replica, from).await
    }

    async fn release(&self, operation: &ResourceName) -> Result<()> {
        self.records.release(operation).await
    }

    async fn request_end(&self, id: &str) -> Result<()> {
        self.records.request_end(id).await
    }

    async fn forget_request(&self, id: &str) -> Result<()> {
        self.records.forget_request(id).await
    }
}

fn progress() -> Progress {
    Progress { phase: TrainingPhase::Training, ..Progress::queued(1) }
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_is_cut_off_lets_go_before_others_may_take_over() {
    let artifacts = artifacts::Artifacts::in_memory();
    let records = Arc::new(StoredRecords::new(artifacts.clone()));
    let board = Arc::new(Cut { records: StoredRecords::new(artifacts.clone()), is_cut: AtomicBool::new(false) });
    let timing = Timing { beat: Duration::from_secs(2) };
    let operations = Operations::new(records.clone(), Arc::new(|| 0));
    let owner = Arc::new(Replica::new(board.clone(), timing));
    let observer = Replica::new(records.clone(), timing);

    let name = Operations::name_of("").unwrap();
    assert!(owner.claim(&name, None).await.unwrap());
    assert!(!observer.claim(&name, None).await.unwrap(), "it is somebody's");
    let new = NewOperation {
        request_id: String::new(),
        fingerprint: String::new(),
        target: ResourceName::parse("teachers/t", ResourceName::TEACHER).unwrap(),
        progress: progress(),
        creator: "ana".to_owned(),
    };
    let handle = operations.begin(name.clone(), new).unwrap();
    let shutdown = CancellationToken::new();
    let beating = tokio::spawn({
        let (owner, operations, shutdown) = (owner.clone(), operations.clone(), shutdown.clone());
        async move { owner.keep_alive(operations, shutdown).await }
    });
    let look = async || {
        use crate::ports::Records;
        observer.hear(&records.listing().await.unwrap().replicas);
    };
    let id = records.owner(&name).await.unwrap().unwrap();
    for _ in 0..20 {
        look().await;
        assert!(observer.is_alive(&id) && !handle.loss().is_cancelled());
        tokio::time::sleep(timing.refresh()).await;
    }

    board.is_cut.store(true, Ordering::SeqCst);
    let (mut lost_at, mut dead_at) = (None, None);
    let cut_at = Instant::now();
    while dead_at.is_none() {
        look().await;
        lost_at = lost_at.or_else(|| handle.loss().is_cancelled().then(Instant::now));
        dead_at = (!observer.is_alive(&id)).then(Instant::now);
        tokio::time::sleep(timing.refresh() / 4).await;
    }
    let (lost_at, dead_at) = (lost_at.expect("it lets go first"), dead_at.unwrap());
    assert!(lost_at < dead_at);
    assert!(dead_at - cut_at <= timing.dead() + timing.beat, "{:?}", dead_at - cut_at);
    handle.abandon();
    assert!(observer.claim(&name, Some(&id)).await.unwrap());

    // Back again, the former owner finds it taken.
    board.is_cut.store(false, Ordering::SeqCst);
    assert!(!owner.claim(&name, Some(&id)).await.unwrap());
    shutdown.cancel();
    beating.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_leaves_is_dead_at_once_and_an_idle_one_says_nothing() {
    let records = Arc::new(StoredRecords::new(artifacts::Artifacts::in_memory()));
    let operations = Operations::new(records.clone(), Arc::new(|| 0));
    let replica = Arc::new(Replica::new(records.clone(), Timing::default()));
    let observer = Replica::new(records.clone(), Timing::default());
    let shutdown = CancellationToken::new();
    let beating = tokio::spawn({
        let (replica, shutdown) = (replica.clone(), shutdown.clone());
        async move { replica.keep_alive(operations, shutdown).await }
    });
    let heartbeats = async || {
        use crate::ports::Records;
        records.listing().await.unwrap().replicas
    };
    tokio::time::sleep(Timing::default().beat * 5).await;
    assert!(heartbeats().await.is_empty());

    let name = Operations::name_of("").unwrap();
    assert!(replica.claim(&name, None).await.unwrap());
    let id = records.owner(&name).await.unwrap().unwrap();
    observer.hear(&heartbeats().await);
    assert!(observer.is_alive(&id));
    shutdown.cancel();
    beating.await.unwrap();
    observer.hear(&heartbeats().await);
    assert!(!observer.is_alive(&id));
}

#[tokio::test]
async fn where_a_lock_shows_it_a_killed_owner_is_dead_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let replica = || {
        let artifacts = artifacts::Artifacts::open_folder(folder.path()).unwrap();
        let records = Arc::new(StoredRecords::new(artifacts));
        // So long that only the lock can tell.
        (Replica::new(records.clone(), Timing { beat: Duration::from_secs(3_600) }), records)
    };
    let name = Operations::name_of("").unwrap();
    let (owner, records) = replica();
    assert!(owner.claim(&name, None).await.unwrap());
    let id = records.owner(&name).await.unwrap().unwrap();
    let (observer, seen) = replica();
    let hear = async || {
        use crate::ports::Records;
        observer.hear(&seen.listing().await.unwrap().replicas);
    };
    hear().await;
    assert!(observer.is_alive(&id) && !observer.is_dead(&id).await);
    records.leave("another").await.unwrap();
    assert!(folder.path().join(".locks").join(format!("present-{id}")).exists(), "it has taken another off the board");

    // A kill leaves the files and lets go of the lock.
    let locks = folder.path().join(".locks");
    let lock = locks.join(format!("present-{id}"));
    std::fs::rename(&lock, locks.join("kept")).unwrap();
    drop((owner, records));
    std::fs::rename(locks.join("kept"), &lock).unwrap();
    assert!(observer.is_alive(&id), "its heartbeat does not tell yet");
    assert!(observer.is_dead(&id).await);
    hear().await;
    assert!(!observer.is_alive(&id), "nor need others look for the lock");
    assert!(observer.claim(&name, Some(&id)).await.unwrap());
}
