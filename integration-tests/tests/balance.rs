//! One orchestrator and three teachers: who does the work, and what becomes of it when one of them goes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use integration_tests::{
    Api, Sandbox, World,
    api::{explain_image, neighbors},
    known::random_image,
    replica::Replica,
};
use proto::raw::{
    deeper::explanation::v1::{self as raw, State},
    google::longrunning::operation,
};
use runtime::{engine::QueueConfig, long::TrainingConfig};

async fn three(world: &World) -> (Vec<Replica>, Sandbox) {
    let mut replicas = Vec::new();
    // The first two only answer: whatever is trained, the third one trains it.
    for training_slots in [0, 0, 1] {
        let trainings = TrainingConfig { training_slots };
        replicas.push(Replica::start(&world.workshop, &world.artifacts, QueueConfig::default(), trainings).await);
    }
    let addresses: Vec<String> = replicas.iter().map(Replica::url).collect();
    let sandbox = Sandbox::start_with_teachers(world, &addresses.join(",")).await;
    (replicas, sandbox)
}

fn request(seed: u64) -> raw::CreateExplanationRequest {
    let id = format!("x-{seed}");
    raw::CreateExplanationRequest { neighborhood: neighbors(500), ..explain_image(&id, &random_image(seed)) }
}

async fn explain_all(api: &Api, seeds: std::ops::Range<u64>) {
    let explaining = seeds.map(|seed| {
        let api = api.clone();
        tokio::spawn(async move { api.explain(request(seed)).await.unwrap() })
    });
    for explained in futures::future::join_all(explaining.collect::<Vec<_>>()).await {
        let explanation = explained.unwrap();
        assert_eq!(explanation.state(), State::Succeeded, "{:?}", explanation.error);
    }
}

#[tokio::test]
async fn three_teachers_share_the_work_within_a_fifth() {
    let world = World::linear().await;
    let (replicas, sandbox) = three(&world).await;
    let before: Vec<usize> = replicas.iter().map(|replica| replica.brake.work().image_count).collect();
    explain_all(&sandbox.api, 0..24).await;
    let work = replicas.iter().zip(before).map(|(replica, before)| replica.brake.work().image_count - before);
    let work: Vec<usize> = work.collect();
    let share = work.iter().sum::<usize>() as f64 / 3.0;
    for images in &work {
        let ratio = *images as f64 / share;
        assert!((0.8..=1.2).contains(&ratio), "{work:?}");
    }
}

#[tokio::test]
async fn explanations_go_on_when_teachers_leave_until_none_is_left() {
    let world = World::linear().await;
    let (replicas, sandbox) = three(&world).await;
    let api = sandbox.api.clone();
    let explaining = tokio::spawn(async move { explain_all(&api, 0..24).await });
    for replica in &replicas[..2] {
        let goal = replica.brake.work().batch_count + 4;
        while replica.brake.work().batch_count < goal && !explaining.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        replica.stop.cancel();
    }
    explaining.await.unwrap();
    explain_all(&sandbox.api, 24..26).await;
}

#[tokio::test]
async fn a_training_goes_to_the_replica_that_takes_it() {
    let world = World::linear().await;
    let (_replicas, sandbox) = three(&world).await;
    for seed in 1..=4 {
        let operation = sandbox.create_teacher(&format!("trained-{seed}"), seed).await.unwrap();
        let ended = sandbox.api.finished(operation).await.unwrap();
        assert!(matches!(ended.result, Some(operation::Result::Response(_))), "{ended:?}");
    }
}
