//! Facts about operations, on records in memory.

use std::sync::Arc;

use domain::{Error, Progress, ResourceName, Result};

use super::*;
use crate::records::StoredRecords;

const ID: &str = "0a8f3c1e-5d2b-4c6a-9e7f-123456789abc";

async fn operations() -> (Operations, Arc<StoredRecords>) {
    let records = Arc::new(StoredRecords::new(artifacts::Artifacts::in_memory()));
    (load(&records).await, records)
}

async fn load(records: &Arc<StoredRecords>) -> Operations {
    Operations::load(records.clone(), Arc::new(|| 1_700_000_000)).await.unwrap()
}

fn new(request_id: &str) -> NewOperation {
    NewOperation {
        request_id: request_id.to_owned(),
        fingerprint: "f".to_owned(),
        target: ResourceName::parse("teachers/t", ResourceName::TEACHER).unwrap(),
        progress: progress(0),
    }
}

fn progress(step: u64) -> Progress {
    Progress { step, ..crate::catalog::queued(3) }
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
    let handle = operations.begin(new(ID)).unwrap();
    assert_eq!(handle.name().id(), ID);
    assert_eq!(operations.existing(&ID.to_uppercase(), "f").unwrap().unwrap().name, *handle.name());
    assert!(matches!(operations.existing(ID, "g"), Err(Error::InvalidFields(_))));
    assert!(matches!(operations.existing("no uuid", "f"), Err(Error::InvalidFields(_))));
    assert!(matches!(operations.begin(new(ID)), Err(Error::AlreadyExists { .. })));
    handle.finish(Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_operation_or_with_its_time() {
    let (operations, _) = operations().await;
    let handle = operations.begin(new("")).unwrap();
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
    let handle = operations.begin(new("")).unwrap();
    let name = handle.name().clone();
    let refused = operations.delete(&name).map(|()| operations.get(&name).unwrap());
    assert_eq!(reason(refused), "OPERATION_RUNNING");
    operations.cancel(&name).unwrap();
    assert!(handle.cancellation().is_cancelled());
    assert!(!operations.get(&name).unwrap().is_done(), "the owner ends it");
    handle.finish(Err(Error::Cancelled));
    operations.delete(&name).unwrap();
    assert_eq!(reason(operations.get(&name)), "OPERATION");
}

#[tokio::test]
async fn work_that_is_dropped_fails() {
    let (operations, _) = operations().await;
    let name = operations.begin(new("")).unwrap().name().clone();
    assert!(matches!(operations.get(&name).unwrap().outcome, Some(Err(Error::Unexpected(_)))));
}

#[tokio::test]
async fn a_restart_knows_what_ended_and_lets_owners_resume_the_rest() {
    let (before, records) = operations().await;
    let names: Vec<ResourceName> = (0..4)
        .map(|i| {
            let handle = before.begin(new("")).unwrap();
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
    after.end_interrupted();
    assert_eq!(after.get(&names[2]).unwrap().outcome, None);
    assert!(matches!(
        after.get(&names[3]).unwrap().outcome,
        Some(Err(Error::FailedPrecondition { reason: "INTERRUPTED", .. }))
    ));
    resumed.finish(Ok(()));
    after.delete(&names[0]).unwrap();
    after.write_down().await.unwrap();
    assert_eq!(records.operations().await.unwrap().len(), 3);
}

#[tokio::test]
async fn lists_are_newest_first_and_the_oldest_finished_are_forgotten() {
    let (operations, records) = operations().await;
    let running = operations.begin(new("")).unwrap();
    let mut last = running.name().clone();
    for _ in 0..MAX_OPERATION_COUNT {
        let handle = operations.begin(new("")).unwrap();
        last = handle.name().clone();
        handle.finish(Ok(()));
    }
    let listed = operations.list();
    assert_eq!(listed.len(), MAX_OPERATION_COUNT);
    assert_eq!(listed[0].name, last);
    assert_eq!(listed[MAX_OPERATION_COUNT - 1].name, *running.name(), "it runs, so it is kept");
    operations.write_down().await.unwrap();
    assert_eq!(records.operations().await.unwrap().len(), MAX_OPERATION_COUNT);
    running.finish(Ok(()));
}

#[tokio::test]
async fn when_all_that_are_kept_run_the_system_is_busy() {
    let (operations, _) = operations().await;
    let handles: Vec<_> = (0..MAX_OPERATION_COUNT).map(|_| operations.begin(new("")).unwrap()).collect();
    assert!(matches!(operations.begin(new("")), Err(Error::QueueFull { .. })));
    handles.into_iter().for_each(|handle| handle.finish(Ok(())));
    assert!(operations.begin(new("")).is_ok());
}
