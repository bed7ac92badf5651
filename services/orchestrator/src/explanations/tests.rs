//! Explanations beside each other: nobody waits for another one's upload, nor pays for another one's look.

mod world;

use std::time::Duration;

use domain::ImageShape;
use proto::explanation::InstanceRequest;
use runtime::gate::Priority;
use tokio::time::sleep;

use self::world::{all, all_over, asked, pixels, png};
use super::*;
use crate::store::MemoryStore;

/// Waits for what comes about by itself, on a machine however busy.
async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it holds in the end");
}

fn of<T>(caller: &Caller, work: impl Future<Output = T>) -> impl Future<Output = T> {
    Caller::context_of(&caller.name).scope(work)
}

#[tokio::test]
async fn an_upload_that_waits_for_its_turn_keeps_nobody_from_creating_and_deleting() {
    let all = all(16);
    let (ana, ben) = (Caller::user("ana"), Caller::user("ben"));
    let turn = all.uploads.gate.enter(Priority::Interactive);
    let upload = tokio::spawn({
        let (all, ana) = (all.clone(), ana.clone());
        async move { of(&ana, all.create(&ana, asked("upload", png()), 0)).await.map(drop) }
    });
    until(async || all.uploads.gate.waiting_count() == 1).await;
    let others = async {
        let made = of(&ben, all.create(&ben, asked("other", pixels()), 0)).await.unwrap();
        all.delete(&ben, made.name()).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(10), others).await.expect("the upload is not waited for");
    assert!(!upload.is_finished());
    drop(turn);
    assert!(matches!(upload.await.unwrap(), Err(Error::InvalidFields(_))), "it is no picture");
}

#[tokio::test]
async fn uploads_that_nobody_waits_for_leave_and_count_until_they_have() {
    let all = all(16);
    let turn = all.uploads.gate.enter(Priority::Interactive);
    let (ana, ben) = (Caller::context_of("ana"), Caller::context_of("ben"));
    let decode = |context: &Context| {
        let (all, context) = (all.clone(), context.clone());
        async move { context.scope(all.uploads.decode(Vec::new(), ImageShape::gray(8, 8))).await }
    };
    let full = |answer: Result<_>| matches!(answer, Err(Error::QueueFull { .. }));
    let mut uploads = tokio::task::JoinSet::new();
    for _ in 0..24 {
        uploads.spawn(decode(&ana));
    }
    until(async || all.uploads.gate.waiting_count() == 24).await;
    assert!(full(decode(&ana).await), "the other places are for others");
    let bens = tokio::spawn(decode(&ben));
    until(async || all.uploads.gate.waiting_count() == 25).await;

    // Its tasks are gone, its threads are not.
    uploads.shutdown().await;
    assert!(full(decode(&ana).await));
    ana.cancellation.cancel();
    until(async || all.uploads.gate.waiting_count() == 1).await;
    until(async || decode(&ana).await == Err(Error::Cancelled)).await;
    drop(turn);
    assert!(matches!(bens.await.unwrap(), Err(Error::InvalidFields(_))), "the other one had its turn");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_to_begin_keeps_its_seat() {
    let store = MemoryStore::between_replicas();
    let (all, other) = (all_over(1, store.clone()), Memory::over(Arc::new(store)));
    let ana = Caller::user("ana");
    let busy = all.creating.lock().await;
    let waiting = tokio::spawn({
        let (all, ana) = (all.clone(), ana.clone());
        async move { of(&ana, all.create(&ana, asked("x", pixels()), 0)).await.map(drop) }
    });
    // Longer than a lease lives unless it is renewed.
    sleep(Duration::from_secs(10)).await;
    assert!(matches!(other.seat("ana", 1).await, Seat::None));
    drop(busy);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_another_begins_again_takes_nothing_of_its_creators_share() {
    let all = all(1);
    let (ana, ben) = (Caller::user("ana"), Caller::user("ben"));
    // As an orchestrator that was killed has left it.
    let (orphan, _) = all.question(&ana, &asked("orphan", pixels()), 0).await.unwrap();
    let document = raw::Explanation::from(&orphan).encode_to_vec();
    assert!(all.documents.create(orphan.name.as_str(), document).await.unwrap());
    let looked_at = of(&ben, all.get(&orphan.name)).await.unwrap();
    assert!(!looked_at.current().is_done() && looked_at.current().creator == "ana");

    of(&ana, all.create(&ana, asked("new", pixels()), 0)).await.unwrap();
    let refused = of(&ana, all.create(&ana, asked("more", pixels()), 0)).await.map(drop);
    assert!(matches!(refused, Err(Error::QuotaExceeded { limit: 1, .. })), "{refused:?}");
}

#[tokio::test]
async fn one_that_two_look_at_at_the_same_time_is_begun_once() {
    let all = all(16);
    let (explanation, question) = all.question(&Caller::user("ana"), &asked("x", pixels()), 0).await.unwrap();
    // Both have looked, and neither has found it in memory.
    let [first, second] = [(); 2].map(|()| {
        let live = Live::begun(explanation.clone(), question.clone());
        all.begin(live, Vec::new(), question.clone(), all.place().unwrap(), Seat::Uncounted)
    });
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!((all.lock_live().len(), all.tasks.len()), (1, 1));
}
