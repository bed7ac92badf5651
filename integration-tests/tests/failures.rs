//! What goes wrong while something runs: peers that are gone, callers that leave, full queues, names that
//! are taken. Each failure has its code, its reason and what helps.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use integration_tests::{
    Failure, Sandbox,
    api::{explain_image, own_image},
    known::random_image,
    world::{IDENTITY, QUARTERS, TEACHER},
};
use proto::raw::{
    deeper::{
        explanation::v1::{self as raw, State},
        types::v1 as types,
    },
    google::longrunning::{CancelOperationRequest, operation},
};
use tonic::{Code, Request};

const REQUEST_ID: &str = "2f6f0d5e-8c0c-4a6b-9a9e-0e6a3f5d7c11";

fn get(id: &str) -> raw::GetExplanationRequest {
    raw::GetExplanationRequest { name: format!("explanations/{id}") }
}

fn watch(id: &str) -> raw::WatchExplanationRequest {
    raw::WatchExplanationRequest { name: format!("explanations/{id}") }
}

fn encode(seed: u64) -> raw::EncodeInstanceRequest {
    raw::EncodeInstanceRequest {
        teacher: TEACHER.into(),
        autoencoder: IDENTITY.into(),
        instance: Some(own_image(&random_image(seed))),
    }
}

#[tokio::test]
async fn a_dead_upstream_is_named_in_a_typed_failure() {
    for service in ["teacher", "vae", "student"] {
        let sandbox = Sandbox::linear().await;
        sandbox.stop(service);
        let explanation = sandbox.api.explain(explain_image("x", &random_image(1))).await.unwrap();
        assert_eq!(explanation.state(), State::Failed);
        let failure = Failure::from(explanation.error.unwrap());
        failure.expect(Code::Unavailable, "UPSTREAM_UNAVAILABLE");
        assert_eq!(failure.details.error_info().unwrap().metadata["service"], service);
        assert!(failure.details.retry_info().is_some());
    }
}

#[tokio::test]
async fn cancelling_the_operation_stops_the_teacher_within_one_batch() {
    let sandbox = Sandbox::linear().await;
    let brake = sandbox.world.brake.clone();
    brake.hold_after(2);
    let mut client = sandbox.api.explanations.clone();
    let operation = client.create_explanation(explain_image("x", &random_image(1))).await.unwrap().into_inner();
    let held = brake.held().await;

    let request = CancelOperationRequest { name: operation.name.clone() };
    sandbox.api.operations.clone().cancel_operation(request).await.unwrap();
    let ended = sandbox.api.finished(operation).await.unwrap();
    let Some(operation::Result::Error(error)) = ended.result else { panic!("it was cancelled: {ended:?}") };
    Failure::from(error).expect(Code::Cancelled, "CANCELLED");
    let explanation = client.get_explanation(get("x")).await.unwrap().into_inner();
    assert_eq!(explanation.state(), State::Cancelled);

    brake.release();
    // Queued behind whatever was left over, and one batch itself.
    client.encode_instance(encode(2)).await.unwrap();
    let more = brake.work().batch_count - held.batch_count;
    assert!(more <= 2, "{more} batches after the cancellation");
}

#[tokio::test]
async fn a_watch_that_is_dropped_stops_nothing() {
    let sandbox = Sandbox::linear().await;
    let brake = sandbox.world.brake.clone();
    brake.hold_after(2);
    let mut client = sandbox.api.explanations.clone();
    let operation = client.create_explanation(explain_image("x", &random_image(1))).await.unwrap().into_inner();
    let mut watching = client.watch_explanation(watch("x")).await.unwrap().into_inner();
    watching.message().await.unwrap();
    brake.held().await;
    drop(watching);
    brake.release();
    let ended = sandbox.api.finished(operation).await.unwrap();
    assert!(matches!(ended.result, Some(operation::Result::Response(_))), "{ended:?}");
}

#[tokio::test]
async fn two_watchers_see_the_same_end() {
    let sandbox = Sandbox::linear().await;
    sandbox.world.brake.hold_after(2);
    let mut client = sandbox.api.explanations.clone();
    client.create_explanation(explain_image("x", &random_image(1))).await.unwrap();
    let mut first = client.watch_explanation(watch("x")).await.unwrap().into_inner();
    let mut second = client.watch_explanation(watch("x")).await.unwrap().into_inner();
    let mut ends = Vec::new();
    sandbox.world.brake.held().await;
    sandbox.world.brake.release();
    for watching in [&mut first, &mut second] {
        let mut last = None;
        while let Some(snapshot) = watching.message().await.unwrap() {
            last = Some(snapshot);
        }
        ends.push(last.unwrap());
    }
    assert_eq!(ends[0].state(), State::Succeeded);
    assert_eq!(ends[0], ends[1]);
}

#[tokio::test]
async fn a_deadline_that_passes_is_told_and_frees_the_caller() {
    let sandbox = Sandbox::linear().await;
    sandbox.world.brake.hold_after(0);
    let mut request = Request::new(encode(1));
    request.set_timeout(Duration::from_millis(300));
    let failure = Failure::of(sandbox.api.explanations.clone().encode_instance(request).await);
    failure.expect(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    sandbox.world.brake.release();
    sandbox.api.explanations.clone().encode_instance(encode(1)).await.unwrap();
}

#[tokio::test]
async fn an_explanation_that_is_deleted_while_it_runs_ends_and_is_gone() {
    let sandbox = Sandbox::linear().await;
    sandbox.world.brake.hold_after(2);
    let mut client = sandbox.api.explanations.clone();
    client.create_explanation(explain_image("x", &random_image(1))).await.unwrap();
    let mut watching = client.watch_explanation(watch("x")).await.unwrap().into_inner();
    sandbox.world.brake.held().await;
    client.delete_explanation(raw::DeleteExplanationRequest { name: "explanations/x".into() }).await.unwrap();
    let mut last = None;
    while let Ok(Some(snapshot)) = watching.message().await {
        last = Some(snapshot.state());
    }
    assert_eq!(last, Some(State::Cancelled));
    let failure = Failure::of(client.get_explanation(get("x")).await);
    failure.expect(Code::NotFound, "EXPLANATION_NOT_FOUND");
    sandbox.world.brake.release();
    let listed = client.list_explanations(raw::ListExplanationsRequest::default()).await.unwrap().into_inner();
    assert!(listed.explanations.is_empty());
}

#[tokio::test]
async fn a_repeated_request_id_answers_the_same_operation() {
    let sandbox = Sandbox::linear().await;
    let request = || raw::CreateExplanationRequest {
        request_id: REQUEST_ID.into(),
        explanation_id: String::new(),
        ..explain_image("", &random_image(1))
    };
    let mut client = sandbox.api.explanations.clone();
    let first = client.create_explanation(request()).await.unwrap().into_inner();
    let second = client.create_explanation(request()).await.unwrap().into_inner();
    assert_eq!(first.name, second.name);
    let listed = client.list_explanations(raw::ListExplanationsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.explanations.len(), 1);

    // The same id with another request is a mistake.
    let other = raw::CreateExplanationRequest { autoencoder: QUARTERS.into(), ..request() };
    Failure::of(client.create_explanation(other).await).expect_fields(&["request_id"]);
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused() {
    let sandbox = Sandbox::linear().await;
    sandbox.api.explain(explain_image("x", &random_image(1))).await.unwrap();
    let again = sandbox.api.explanations.clone().create_explanation(explain_image("x", &random_image(2))).await;
    let failure = Failure::of(again);
    failure.expect(Code::AlreadyExists, "EXPLANATION_EXISTS");
    assert_eq!(failure.details.resource_info().unwrap().resource_name, "explanations/x");

    Failure::of(sandbox.create_teacher("known", 2).await).expect(Code::AlreadyExists, "TEACHER_EXISTS");
    let autoencoder = sandbox.create_autoencoder("identity", 4, 2).await;
    Failure::of(autoencoder).expect(Code::AlreadyExists, "AUTOENCODER_EXISTS");

    let student = || raw::CreateStudentRequest { parent: "explanations/x".into(), student_id: "s".into(), spec: None };
    sandbox.api.distill(student()).await.unwrap();
    Failure::of(sandbox.api.distill(student()).await).expect(Code::AlreadyExists, "STUDENT_EXISTS");
}

#[tokio::test]
async fn more_explanations_than_may_run_are_told_to_come_back() {
    let sandbox = Sandbox::linear().await;
    sandbox.world.brake.hold_after(0);
    let mut client = sandbox.api.explanations.clone();
    let request = |seed: u64| raw::CreateExplanationRequest {
        autoencoder: QUARTERS.into(),
        neighborhood: Some(types::NeighborhoodSpec {
            seed: Some(seed),
            neighbor_count: Some(32),
            ..Default::default()
        }),
        ..explain_image(&format!("x-{seed}"), &random_image(1))
    };
    // Of 64 places one who asks gets three quarters.
    for seed in 0..48 {
        client.create_explanation(request(seed)).await.unwrap();
    }
    let failure = Failure::of(client.create_explanation(request(48)).await);
    failure.expect(Code::ResourceExhausted, "QUEUE_FULL");
    assert!(failure.details.retry_info().unwrap().retry_delay.is_some());

    sandbox.world.brake.release();
    for seed in 0..48 {
        let mut watching = client.watch_explanation(watch(&format!("x-{seed}"))).await.unwrap().into_inner();
        while watching.message().await.unwrap().is_some() {}
    }
    client.create_explanation(request(48)).await.unwrap();
}

#[tokio::test]
async fn a_student_of_an_explanation_that_was_cancelled_is_refused() {
    let sandbox = Sandbox::linear().await;
    sandbox.world.brake.hold_after(2);
    let mut client = sandbox.api.explanations.clone();
    let operation = client.create_explanation(explain_image("x", &random_image(1))).await.unwrap().into_inner();
    sandbox.world.brake.held().await;
    let request = CancelOperationRequest { name: operation.name.clone() };
    sandbox.api.operations.clone().cancel_operation(request).await.unwrap();
    sandbox.api.finished(operation).await.unwrap();
    let request = raw::CreateStudentRequest { parent: "explanations/x".into(), ..Default::default() };
    let failure = Failure::of(sandbox.api.distill(request).await);
    failure.expect(Code::FailedPrecondition, "EXPLANATION_NOT_COMPLETE");
    sandbox.world.brake.release();
}
