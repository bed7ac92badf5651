//! Watching: everything first, then changes; and the port's housekeeping.

use std::time::Duration;

use proto::raw::deeper::catalog::v1::{self as raw, watch_activity_response::Update};
use tonic::{Code, Streaming};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    reason,
    world::{World, new_teacher},
};

async fn watch(world: &World) -> Streaming<raw::WatchActivityResponse> {
    world.catalog.clone().watch_activity(raw::WatchActivityRequest {}).await.unwrap().into_inner()
}

async fn next(updates: &mut Streaming<raw::WatchActivityResponse>) -> Update {
    updates.message().await.unwrap().unwrap().update.unwrap()
}

#[tokio::test]
async fn a_watcher_gets_everything_first_and_then_every_change() {
    let world = World::new().await;
    world.trained("t").await;
    let mut updates = watch(&world).await;
    let Update::Snapshot(snapshot) = next(&mut updates).await else { panic!("no snapshot first") };
    assert_eq!((snapshot.datasets.len(), snapshot.teachers.len(), snapshot.operations.len()), (1, 1, 1));
    assert!(snapshot.operations[0].done && snapshot.operations[0].error.is_none());

    world.trained("u").await;
    let mut last_state = None;
    let mut operation_done = false;
    while !(operation_done && last_state == Some(raw::ModelState::Ready)) {
        match next(&mut updates).await {
            Update::Teacher(teacher) => {
                assert_eq!(teacher.name, "teachers/u");
                last_state = Some(teacher.state());
            }
            Update::Operation(operation) => {
                assert_eq!(operation.target, "teachers/u");
                operation_done = operation.done;
            }
            other => panic!("{other:?}"),
        }
    }
    let name = "teachers/t".to_owned();
    world.catalog.clone().delete_teacher(raw::DeleteTeacherRequest { name: name.clone() }).await.unwrap();
    assert_eq!(next(&mut updates).await, Update::Deleted(name));
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_skips_what_is_outdated_and_fast_changes_are_thinned() {
    let world = World::new().await;
    let mut updates = watch(&world).await;
    next(&mut updates).await;
    let operation = world.catalog.clone().create_teacher(new_teacher("t")).await.unwrap().into_inner().name;
    // Forty changes in two seconds of this world's time, read later.
    for _ in 0..2 {
        world.trainers.let_steps(2);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.ended(&operation).await;
    let mut count = 0;
    loop {
        count += 1;
        if let Update::Operation(operation) = next(&mut updates).await
            && operation.done
        {
            break;
        }
    }
    assert!(count <= 12, "{count} updates of two things in two seconds, at most four a second each");
}

#[tokio::test]
async fn a_watch_ends_when_the_process_is_asked_to_stop() {
    let world = World::new().await;
    let mut updates = watch(&world).await;
    next(&mut updates).await;
    let stopping = tokio::spawn(world.stop());
    let end = tokio::time::timeout(Duration::from_secs(5), updates.message()).await.expect("the stream ends");
    assert!(matches!(end, Ok(None)), "{end:?}");
    tokio::time::timeout(Duration::from_secs(5), stopping).await.expect("the process ends").unwrap();
}

#[tokio::test]
async fn health_and_limits_are_those_of_the_port() {
    let world = World::new().await;
    let request = HealthCheckRequest { service: "deeper.catalog.v1.CatalogService".to_owned() };
    let health = HealthClient::new(world.channel.clone()).check(request).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);
    let large = raw::GetDatasetRequest { name: "x".repeat(5 << 20) };
    let refused = world.catalog.clone().get_dataset(large).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    assert!(refused.message().contains("larger than 4194304 bytes"), "{refused:?}");
}
