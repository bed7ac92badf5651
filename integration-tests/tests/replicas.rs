//! Two orchestrators of one system, and users who are told apart: what one begins the other ends, shows and
//! forgets; and what is somebody's stays theirs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{sync::Arc, time::Duration};

use artifacts::Artifacts;
use domain::ResourceName;
use integration_tests::{
    Api, Failure, Sandbox, World,
    api::{explain_image, fitted, neighbors},
    known::{dataset_splits, label_names, random_image},
    sandbox::teacher_recipe,
    world::DATASET,
};
use orchestrator::{
    caller::{Callers, Limits},
    store::MemoryStore,
};
use proto::raw::{
    deeper::{
        catalog::v1 as catalog,
        explanation::v1::{self as raw, State},
    },
    google::longrunning::{CancelOperationRequest, GetOperationRequest, operation},
};
use tonic::{Code, Request};

/// A death is noticed and mended well within this.
const LIMIT: Duration = Duration::from_secs(10);

fn name(id: &str) -> String {
    format!("explanations/{id}")
}

fn get(id: &str) -> raw::GetExplanationRequest {
    raw::GetExplanationRequest { name: name(id) }
}

async fn watched(api: &Api, id: &str) -> raw::Explanation {
    let request = raw::WatchExplanationRequest { name: name(id) };
    let mut watching = api.explanations.clone().watch_explanation(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(snapshot) = watching.message().await.unwrap() {
        last = Some(snapshot);
    }
    last.unwrap()
}

async fn state(api: &Api, id: &str) -> State {
    api.explanations.clone().get_explanation(get(id)).await.unwrap().into_inner().state()
}

async fn other(sandbox: &Sandbox) -> Api {
    sandbox.replica(Arc::new(MemoryStore::default())).await
}

#[tokio::test]
async fn an_explanation_whose_orchestrator_is_killed_is_finished_by_the_one_that_is_asked() {
    let sandbox = Sandbox::linear().await;
    let (doomed, doom) = sandbox.doomed().await;
    let undisturbed = sandbox.api.explain(explain_image("undisturbed", &random_image(1))).await.unwrap();

    let brake = sandbox.world.brake.clone();
    brake.hold_after(1);
    // Another neighborhood first, so that nothing of the answer is in anybody's memory.
    let request =
        raw::CreateExplanationRequest { neighborhood: neighbors(300), ..explain_image("x", &random_image(2)) };
    let operation = doomed.explanations.clone().create_explanation(request.clone()).await.unwrap().into_inner();
    let request = raw::WatchExplanationRequest { name: name("x") };
    let mut watching = doomed.explanations.clone().watch_explanation(request).await.unwrap().into_inner();
    watching.message().await.unwrap();
    brake.held().await;
    doom.kill();
    while let Ok(Some(_)) = watching.message().await {}
    brake.release();

    // The watcher re-connects to the other one, and so does whoever waits for the operation.
    let finished = tokio::time::timeout(LIMIT, watched(&sandbox.api, "x")).await.unwrap();
    assert_eq!((finished.state(), finished.labeled_neighbor_count), (State::Succeeded, 300));
    let ended = sandbox.api.finished(operation).await.unwrap();
    assert!(matches!(ended.result, Some(operation::Result::Response(_))), "{ended:?}");

    // Whoever computes an answer, it is the same.
    let (another, doom) = sandbox.doomed().await;
    let again = watched(&another, "undisturbed").await;
    assert_eq!(fitted(&again), fitted(&undisturbed));
    doom.kill();
}

#[tokio::test]
async fn a_training_whose_orchestrator_is_killed_is_finished_by_another() {
    let sandbox = Sandbox::linear().await;
    let (doomed, doom) = sandbox.doomed().await;
    // The evaluation waits at the brake, so that the operation is under way when its owner dies.
    sandbox.world.brake.hold_after(0);
    let request = catalog::CreateTeacherRequest {
        teacher_id: "orphan".into(),
        recipe: Some(teacher_recipe(3)),
        ..Default::default()
    };
    let operation = doomed.catalog.clone().create_teacher(request).await.unwrap().into_inner();
    sandbox.world.brake.held().await;
    doom.kill();
    let request = GetOperationRequest { name: operation.name.clone() };
    assert!(!sandbox.api.operations.clone().get_operation(request).await.unwrap().into_inner().done);
    sandbox.world.brake.release();
    let ended = tokio::time::timeout(LIMIT, sandbox.api.finished(operation)).await.unwrap().unwrap();
    assert!(matches!(ended.result, Some(operation::Result::Response(_))), "{ended:?}");
}

#[tokio::test]
async fn an_explanation_is_cancelled_and_deleted_from_the_other_replica() {
    let sandbox = Sandbox::linear().await;
    let other = other(&sandbox).await;
    let brake = sandbox.world.brake.clone();
    for id in ["cancelled", "deleted"] {
        brake.hold_after(1);
        let image = random_image(id.len() as u64);
        let mut client = sandbox.api.explanations.clone();
        let operation = client.create_explanation(explain_image(id, &image)).await.unwrap().into_inner();
        let watching = client.watch_explanation(raw::WatchExplanationRequest { name: name(id) }).await;
        let mut watching = watching.unwrap().into_inner();
        brake.held().await;
        if id == "cancelled" {
            let request = CancelOperationRequest { name: operation.name.clone() };
            other.operations.clone().cancel_operation(request).await.unwrap();
            assert_eq!(state(&other, id).await, State::Cancelled);
        } else {
            let request = raw::DeleteExplanationRequest { name: name(id) };
            other.explanations.clone().delete_explanation(request).await.unwrap();
        }
        let ended = async {
            let mut last = None;
            while let Some(snapshot) = watching.message().await.unwrap() {
                last = Some(snapshot.state());
            }
            last
        };
        assert_eq!(tokio::time::timeout(LIMIT, ended).await.unwrap(), Some(State::Cancelled), "{id}");
        brake.release();
    }
    assert_eq!(state(&sandbox.api, "cancelled").await, State::Cancelled);
    let gone = sandbox.api.explanations.clone().get_explanation(get("deleted")).await;
    Failure::of(gone).expect(Code::NotFound, "EXPLANATION_NOT_FOUND");
}

#[tokio::test]
async fn what_has_succeeded_here_is_not_cancelled_there() {
    let sandbox = Sandbox::linear().await;
    let done = sandbox.api.explain(explain_image("x", &random_image(1))).await.unwrap();
    let other = other(&sandbox).await;
    let listed = async |api: &Api| {
        let request = raw::ListExplanationsRequest::default();
        api.explanations.clone().list_explanations(request).await.unwrap().into_inner().explanations
    };
    // Its end is written after it is told.
    let written = async { while listed(&other).await[0].state() != State::Succeeded {} };
    tokio::time::timeout(LIMIT, written).await.unwrap();
    let request = CancelOperationRequest { name: done.operation.clone() };
    other.operations.clone().cancel_operation(request).await.unwrap();
    for api in [&sandbox.api, &other] {
        assert_eq!(watched(api, "x").await.state(), State::Succeeded);
    }
}

#[tokio::test]
async fn one_request_that_reaches_both_replicas_is_one_explanation() {
    let sandbox = Sandbox::linear().await;
    let other = other(&sandbox).await;
    for round in 0..4u64 {
        let request = raw::CreateExplanationRequest {
            request_id: format!("2f6f0d5e-8c0c-4a6b-9a9e-0e6a3f5d7c1{round}"),
            explanation_id: String::new(),
            neighborhood: neighbors(32),
            ..explain_image("", &random_image(round))
        };
        let (mut first, mut second) = (sandbox.api.explanations.clone(), other.explanations.clone());
        let answers = tokio::join!(first.create_explanation(request.clone()), second.create_explanation(request));
        assert_eq!(answers.0.unwrap().into_inner().name, answers.1.unwrap().into_inner().name);
    }
    let listed = sandbox.api.explanations.clone().list_explanations(raw::ListExplanationsRequest::default()).await;
    assert_eq!(listed.unwrap().into_inner().explanations.len(), 4);
}

fn by<T>(user: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-deeper-user", user.parse().unwrap());
    request
}

#[tokio::test]
async fn users_behind_a_trusted_gateway_have_their_own_explanations_and_shares() {
    let sandbox = Sandbox::linear().await;
    let gateways = vec!["127.0.0.0/8".parse().unwrap()];
    let limits = Limits { explanations: 2, trainings: 1 };
    let api = sandbox.shared_by(Callers { gateways, keys: None, limits }).await;
    let mut client = api.explanations.clone();

    // Of two that run, a third one is too much; another user has a share of their own.
    let brake = sandbox.world.brake.clone();
    brake.hold_after(0);
    let small = |id: &str, seed| raw::CreateExplanationRequest {
        neighborhood: neighbors(32),
        ..explain_image(id, &random_image(seed))
    };
    for (id, seed) in [("a1", 1), ("a2", 2)] {
        client.create_explanation(by("ana", small(id, seed))).await.unwrap();
    }
    let failure = Failure::of(client.create_explanation(by("ana", small("a3", 3))).await);
    failure.expect(Code::ResourceExhausted, "QUOTA_EXCEEDED");
    assert_eq!(failure.details.quota_failure().unwrap().violations[0].subject, "users/ana");
    client.create_explanation(by("ben", small("b1", 4))).await.unwrap();
    brake.release();
    for id in ["a1", "a2", "b1"] {
        assert_eq!(watched(&api, id).await.state(), State::Succeeded);
    }
    client.create_explanation(by("ana", small("a3", 3))).await.unwrap();
    watched(&api, "a3").await;

    // Ones own first; everybody reads everything; only the creator deletes.
    let listed = client.list_explanations(by("ben", raw::ListExplanationsRequest::default())).await.unwrap();
    let listed = listed.into_inner().explanations;
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].creator.as_str()), (4, "explanations/b1", "ben"));
    assert!(listed[1..].iter().all(|explanation| explanation.creator == "ana"));
    let delete = || raw::DeleteExplanationRequest { name: name("b1") };
    let failure = Failure::of(client.delete_explanation(by("ana", delete())).await);
    failure.expect(Code::PermissionDenied, "NOT_THE_CREATOR");
    client.delete_explanation(delete()).await.unwrap_err();

    // A student is its own maker's, also once it is fitted anew.
    let request = raw::CreateStudentRequest { parent: name("a1"), student_id: "mine".into(), spec: None };
    let mut answers = client.create_student(by("ben", request)).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    for api in [&api, &other(&sandbox).await] {
        watched(api, "a1").await;
        let request = raw::GetStudentRequest { name: format!("{}/students/mine", name("a1")) };
        let student = api.explanations.clone().get_student(request).await.unwrap().into_inner();
        assert_eq!(student.creator, "ben");
        let request = raw::GetStudentRequest { name: format!("{}/students/default", name("a1")) };
        let student = api.explanations.clone().get_student(request).await.unwrap().into_inner();
        assert_eq!(student.creator, "ana");
    }
    client.delete_explanation(by("ben", delete())).await.unwrap();

    // The other orchestrator trusts nobody.
    let refused = sandbox.api.explanations.clone().get_explanation(by("ana", get("a1"))).await;
    Failure::of(refused).expect(Code::PermissionDenied, "GATEWAY_NOT_TRUSTED");
}

/// Turns the last byte of every file below a folder whose path has `part` in it; answers how many.
fn damage(folder: &std::path::Path, part: &str) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            count += damage(&path, part);
        } else if path.to_string_lossy().contains(part) {
            let mut bytes = std::fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(&path, bytes).unwrap();
            count += 1;
        }
    }
    count
}

#[tokio::test]
async fn what_is_damaged_in_the_store_is_told_of_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open_folder(folder.path()).unwrap();
    let dataset = ResourceName::parse(DATASET, ResourceName::DATASET).unwrap();
    artifacts.import_idx(&dataset, "Tiny", label_names(), dataset_splits()).await.unwrap();
    let world = World { artifacts, ..World::linear().await };
    let sandbox = Sandbox::start(&world).await;
    for id in ["x", "y"] {
        sandbox.api.explain(explain_image(id, &random_image(1))).await.unwrap();
    }
    sandbox.shut_down().await;
    assert_eq!(damage(folder.path(), "documents/explanations/x"), 1);
    assert_eq!(damage(folder.path(), "evaluations/"), 1);
    assert!(damage(folder.path(), "datasets/tiny/train.images") == 1);

    // Nothing of it is in anybody's memory.
    let world = World { artifacts: Artifacts::open_folder(folder.path()).unwrap(), ..world };
    let sandbox = Sandbox::start(&world).await;
    let mut client = sandbox.api.explanations.clone();
    Failure::of(client.get_explanation(get("x")).await).expect(Code::FailedPrecondition, "DOCUMENT_DAMAGED");
    let listed = client.list_explanations(raw::ListExplanationsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.explanations.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["explanations/y"]);
    let mut catalog = sandbox.api.catalog.clone();
    let request = catalog::GetConfusionMatrixRequest {
        teacher: integration_tests::world::TEACHER.into(),
        dataset: DATASET.into(),
        split: "train".into(),
    };
    Failure::of(catalog.get_confusion_matrix(request).await).expect(Code::FailedPrecondition, "EVALUATION_MISSING");
    let request = catalog::GetExampleRequest { name: format!("{DATASET}/examples/train-0"), teacher: String::new() };
    Failure::of(catalog.get_example(request).await).expect(Code::FailedPrecondition, "DATASET_DAMAGED");
}

#[tokio::test]
async fn a_success_stays_one_although_it_cannot_be_computed_again_for_a_while() {
    let sandbox = Sandbox::linear().await;
    sandbox.api.explain(explain_image("x", &random_image(1))).await.unwrap();
    let other = other(&sandbox).await;
    let listed = async || {
        let request = raw::ListExplanationsRequest::default();
        other.explanations.clone().list_explanations(request).await.unwrap().into_inner().explanations[0].state()
    };
    let written = async { while listed().await != State::Succeeded {} };
    tokio::time::timeout(LIMIT, written).await.unwrap();
    sandbox.stop("teacher");
    for _ in 0..2 {
        assert_eq!(watched(&other, "x").await.state(), State::Failed);
        let forgotten = async { while listed().await != State::Succeeded {} };
        tokio::time::timeout(LIMIT, forgotten).await.unwrap();
    }
    assert_eq!(watched(&sandbox.api, "x").await.state(), State::Succeeded, "it is in memory here");
}
