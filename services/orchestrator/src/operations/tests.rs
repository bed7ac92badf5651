//! Facts about operations, on records in memory.

use std::sync::Arc;

use domain::{Error, Progress, ResourceName, Result};

use super::*;
use crate::{ports::Records, records::StoredRecords};

const ID: &str = "0a8f3c1e-5d2b-4c6a-9e7f-123456789abc";

async fn operations() -> (Operations, Arc<StoredRecords>) {
    let records = Arc::new(StoredRecords::new(artifacts::Artifacts::in_memory()));
    (load(&records).await, records)
}

async fn load(records: &Arc<StoredRecords>) -> Operations {
    let operations = Operations::new(records.clone(), Arc::new(|| 1_700_000_000));
    mirror(&operations, records).await;
    operations
}

/// Takes over all that is on record.
async fn mirror(operations: &Operations, records: &StoredRecords) {
    let write_count = operations.write_count();
    let listing = records.listing().await.unwrap();
    let mut all = Vec::new();
    for name in listing.operations.keys() {
        all.extend(records.operation(name).await.unwrap());
    }
    assert!(operations.mirror(write_count, all, &listing.operations.into_keys().collect()));
}

fn begin(operations: &Operations, request_id: &str) -> Result<OperationHandle> {
    operations.begin(Operations::name_of(request_id)?, new(request_id))
}

fn new(request_id: &str) -> NewOperation {
    NewOperation {
        request_id: request_id.to_owned(),
        fingerprint: "f".to_owned(),
        target: ResourceName::parse("teachers/t", ResourceName::TEACHER).unwrap(),
        progress: progress(0),
        creator: "ana".to_owned(),
    }
}

fn progress(step: u64) -> Progress {
    Progress { step, ..Progress::queued(3) }
}

fn reason(result: Result<Operation>) -> &'static str {
    match result {
        Err(Error::NotFound { kind, .. }) => kind,
        Err(Error::FailedPrecondition { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repeated_request_finds_its_operation_and_another_request_does_not() {
    let (operations, _) = operations().await;
    assert_eq!(operations.existing(ID, "f"), Ok(None));
    let handle = begin(&operations, ID).unwrap();
    assert_eq!(handle.name().id(), ID);
    assert_eq!(operations.existing(&ID.to_uppercase(), "f").unwrap().unwrap().name, *handle.name());
    assert!(matches!(operations.existing(ID, "g"), Err(Error::InvalidFields(_))));
    assert!(matches!(operations.existing("no uuid", "f"), Err(Error::InvalidFields(_))));
    assert!(matches!(begin(&operations, ID), Err(Error::AlreadyExists { .. })));
    handle.finish(Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_operation_or_with_its_time() {
    let (operations, _) = operations().await;
    let handle = begin(&operations, "").unwrap();
    let name = handle.name().clone();
    handle.report(progress(7));
    let waited = operations.wait(&name, Duration::from_secs(3_600)).await.unwrap();
    assert_eq!((waited.is_done(), waited.progress), (false, progress(7)));
    let waiting = tokio::spawn({
        let (operations, name) = (operations.clone(), name.clone());
        async move { operations.wait(&name, MAX_WAIT).await }
    });
    tokio::task::yield_now().await;
    handle.finish(Err(Error::Cancelled));
    assert_eq!(waiting.await.unwrap().unwrap().outcome, Some(Err(Error::Cancelled)));
}

#[tokio::test]
async fn cancelling_asks_the_owner_and_a_running_operation_cannot_be_deleted() {
    let (operations, _) = operations().await;
    let handle = begin(&operations, "").unwrap();
    let name = handle.name().clone();
    let refused = operations.delete(&name).await.map(|()| operations.get(&name).unwrap());
    assert_eq!(reason(refused), "OPERATION_RUNNING");
    assert!(operations.cancel(&name).unwrap(), "it is done here");
    assert!(handle.cancellation().is_cancelled());
    assert!(!operations.get(&name).unwrap().is_done(), "the owner ends it");
    handle.finish(Err(Error::Cancelled));
    operations.delete(&name).await.unwrap();
    assert_eq!(reason(operations.get(&name)), "OPERATION");
}

#[tokio::test]
async fn work_that_is_dropped_fails() {
    let (operations, _) = operations().await;
    let name = begin(&operations, "").unwrap().name().clone();
    assert!(matches!(operations.get(&name).unwrap().outcome, Some(Err(Error::Unexpected(_)))));
}

#[tokio::test]
async fn a_restart_knows_what_ended_and_lets_owners_resume_the_rest() {
    let (before, records) = operations().await;
    let names: Vec<ResourceName> = (0..4)
        .map(|i| {
            let handle = begin(&before, "").unwrap();
            let name = handle.name().clone();
            match i {
                0 => handle.finish(Ok(())),
                1 => handle.finish(Err(Error::invalid("recipe.seed", "must be above 0"))),
                _ => handle.abandon(),
            }
            name
        })
        .collect();
    before.write_down().await.unwrap();
    let after = load(&records).await;
    assert_eq!(after.get(&names[0]).unwrap().outcome, Some(Ok(())));
    let failed = Some(Err(Error::invalid("recipe.seed", "must be above 0")));
    assert_eq!(after.get(&names[1]).unwrap().outcome, failed);
    assert!(after.resume(&names[0]).is_none());
    let resumed = after.resume(&names[2]).unwrap();
    assert!(after.resume(&names[2]).is_none(), "one owner");
    assert!(after.owns(&names[2]) && !after.owns(&names[3]));
    assert_eq!(after.unowned(), [names[3].clone()]);
    resumed.finish(Ok(()));
    after.delete(&names[0]).await.unwrap();
    after.write_down().await.unwrap();
    assert_eq!(records.listing().await.unwrap().operations.len(), 3);
}

#[tokio::test]
async fn lists_are_newest_first_and_the_oldest_finished_are_forgotten() {
    let (operations, records) = operations().await;
    let running = begin(&operations, "").unwrap();
    let mut last = running.name().clone();
    for _ in 0..MAX_OPERATION_COUNT {
        let handle = begin(&operations, "").unwrap();
        last = handle.name().clone();
        handle.finish(Ok(()));
    }
    let listed = operations.list();
    assert_eq!(listed.len(), MAX_OPERATION_COUNT);
    assert_eq!(listed[0].name, last);
    assert_eq!(listed[MAX_OPERATION_COUNT - 1].name, *running.name(), "it runs, so it is kept");
    operations.write_down().await.unwrap();
    assert_eq!(records.listing().await.unwrap().operations.len(), MAX_OPERATION_COUNT);
    running.finish(Ok(()));
}

#[tokio::test]
async fn when_all_that_are_kept_run_the_system_is_busy() {
    let (operations, _) = operations().await;
    let handles: Vec<_> = (0..MAX_OPERATION_COUNT).map(|_| begin(&operations, "").unwrap()).collect();
    assert!(matches!(begin(&operations, ""), Err(Error::QueueFull { .. })));
    handles.into_iter().for_each(|handle| handle.finish(Ok(())));
    assert!(begin(&operations, "").is_ok());
}

#[tokio::test]
async fn another_replica_sees_progress_ends_and_deletions() {
    let (owner, records) = operations().await;
    let handle = begin(&owner, "").unwrap();
    let name = handle.name().clone();
    owner.write_down().await.unwrap();
    let other = load(&records).await;
    assert_eq!(other.get(&name).unwrap(), owner.get(&name).unwrap());
    assert!(!other.cancel(&name).unwrap(), "it is not done there");
    assert_eq!((other.under_way("ana"), other.under_way("ben")), (1, 0));

    let mut watching = other.watch(&name).unwrap();
    handle.report(Progress { phase: domain::TrainingPhase::Training, ..progress(3) });
    owner.write_down().await.unwrap();
    mirror(&other, &records).await;
    assert_eq!(watching.borrow_and_update().progress.step, 3);
    handle.finish(Ok(()));
    owner.write_down().await.unwrap();
    mirror(&other, &records).await;
    assert_eq!(other.wait(&name, MAX_WAIT).await.unwrap().outcome, Some(Ok(())));
    other.delete(&name).await.unwrap();
    mirror(&owner, &records).await;
    assert_eq!(reason(owner.get(&name)), "OPERATION");
}

#[tokio::test]
async fn an_old_look_changes_nothing_that_was_written_since() {
    let (operations, records) = operations().await;
    let before = operations.write_count();
    let listing = records.listing().await.unwrap();
    let handle = begin(&operations, "").unwrap();
    assert!(!operations.mirror(before, Vec::new(), &listing.operations.into_keys().collect()));
    // Not on record yet, and nevertheless not gone.
    mirror(&operations, &records).await;
    assert!(operations.get(handle.name()).is_ok());
}

#[tokio::test]
async fn what_is_lost_is_not_written_any_more() {
    let (loser, records) = operations().await;
    let handle = begin(&loser, "").unwrap();
    let name = handle.name().clone();
    loser.write_down().await.unwrap();
    let winner = load(&records).await;
    handle.report(Progress { phase: domain::TrainingPhase::Training, ..progress(3) });
    loser.lose_all();
    assert!(handle.loss().is_cancelled());
    handle.abandon();
    winner.resume(&name).unwrap().finish(Ok(()));
    winner.write_down().await.unwrap();
    loser.write_down().await.unwrap();
    mirror(&loser, &records).await;
    assert_eq!(loser.get(&name).unwrap().outcome, Some(Ok(())));
}
