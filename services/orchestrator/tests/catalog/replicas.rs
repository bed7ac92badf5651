//! Two orchestrators over one folder: what one makes the other has, and a training has one owner at a time,
//! whatever happens to it.

use std::{sync::atomic::Ordering, time::Duration};

use artifacts::Artifacts;
use proto::raw::{
    deeper::catalog::v1::{self as raw, watch_activity_response::Update},
    google::longrunning::{
        CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
        operation::Result as Outcome,
    },
};
use tonic::Code;

use crate::{
    reason,
    world::{TIMING, World, import, new_teacher, until},
};

/// A folder with `datasets/tiny`, opened twice as two processes would.
async fn folder() -> (tempfile::TempDir, Artifacts, Artifacts) {
    let folder = tempfile::tempdir().unwrap();
    let open = || Artifacts::open_folder(folder.path()).unwrap();
    import(&open()).await;
    let (a, b) = (open(), open());
    (folder, a, b)
}

async fn create(world: &World, id: &str) -> String {
    world.catalog.clone().create_teacher(new_teacher(id)).await.unwrap().into_inner().name
}

async fn teacher(world: &World, id: &str) -> raw::Teacher {
    let name = format!("teachers/{id}");
    world.catalog.clone().get_teacher(raw::GetTeacherRequest { name }).await.unwrap().into_inner()
}

#[tokio::test]
async fn what_one_replica_makes_is_there_at_the_other_at_once() {
    let (_folder, a, b) = folder().await;
    let (a, b) = (World::over(a), World::over(b));
    let operation = create(&a, "t").await;
    // Without a pause: whoever is told of something finds it everywhere.
    assert_eq!(teacher(&b, "t").await.state(), raw::ModelState::Training);
    let request = GetOperationRequest { name: operation.clone() };
    assert!(!b.operations.clone().get_operation(request).await.unwrap().into_inner().done);
    let listed = b.catalog.clone().list_teachers(raw::ListTeachersRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.teachers.len(), 1);

    a.trainers.let_steps(4);
    let ended = b.ended(&operation).await;
    assert!(matches!(ended.result, Some(Outcome::Response(_))), "{ended:?}");
    until_ready(&b, "t").await;
    let matrix = raw::GetConfusionMatrixRequest {
        teacher: "teachers/t".into(),
        dataset: "datasets/tiny".into(),
        split: String::new(),
    };
    assert_eq!(b.catalog.clone().get_confusion_matrix(matrix).await.unwrap().into_inner().counts, [2, 1, 1, 2]);
    assert!(b.trainers.begun.lock().unwrap().is_empty(), "it was trained once");

    // And what one deletes is gone at the other.
    b.operations.clone().delete_operation(DeleteOperationRequest { name: operation.clone() }).await.unwrap();
    b.catalog.clone().delete_teacher(raw::DeleteTeacherRequest { name: "teachers/t".into() }).await.unwrap();
    let listed = a.operations.clone().list_operations(ListOperationsRequest::default()).await.unwrap().into_inner();
    assert!(listed.operations.is_empty());
    let listed = a.catalog.clone().list_teachers(raw::ListTeachersRequest::default()).await.unwrap().into_inner();
    assert!(listed.teachers.is_empty());
}

/// A replica that was told of an operation's end by the store has its model a moment later at most.
async fn until_ready(world: &World, id: &str) {
    let ready = async { while teacher(world, id).await.state() != raw::ModelState::Ready {} };
    tokio::time::timeout(Duration::from_secs(5), ready).await.expect("it is ready in the end");
}

#[tokio::test]
async fn a_watcher_sees_what_goes_on_at_the_other_replica() {
    let (_folder, a, b) = folder().await;
    let (a, b) = (World::over(a), World::over(b));
    let mut updates = b.catalog.clone().watch_activity(raw::WatchActivityRequest {}).await.unwrap().into_inner();
    updates.message().await.unwrap();
    let operation = create(&a, "t").await;
    a.trainers.let_steps(4);
    let (mut is_done, mut is_ready) = (false, false);
    while !(is_done && is_ready) {
        match updates.message().await.unwrap().unwrap().update.unwrap() {
            Update::Operation(told) => {
                assert_eq!(told.name, operation);
                is_done = told.done;
            }
            Update::Teacher(told) => is_ready = told.state() == raw::ModelState::Ready,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_training_is_cancelled_from_the_other_replica() {
    let (_folder, a, b) = folder().await;
    let (a, b) = (World::over(a), World::over(b));
    let operation = create(&a, "t").await;
    a.trainers.let_steps(1);
    until(|| a.trainers.running.load(Ordering::SeqCst) == 1).await;
    b.operations.clone().cancel_operation(CancelOperationRequest { name: operation.clone() }).await.unwrap();
    for world in [&a, &b] {
        let Some(Outcome::Error(error)) = world.ended(&operation).await.result else { panic!("it was cancelled") };
        assert_eq!(error.code, i32::from(Code::Cancelled));
    }
    until(|| a.trainers.running.load(Ordering::SeqCst) == 0).await;
    assert_eq!(teacher(&b, "t").await.failure, "the training was cancelled");
}

#[tokio::test]
async fn the_training_of_a_killed_replica_is_finished_by_another() {
    let (_folder, a, b) = folder().await;
    let (a, doom) = World::doomed(a);
    let running = create(&a, "running").await;
    let waiting = create(&a, "waiting").await;
    a.trainers.let_steps(2);
    until(|| a.trainers.running.load(Ordering::SeqCst) == 1).await;
    let b = World::over(b);
    b.trainers.let_steps(100);
    // It looks at the store all the while, and leaves alone what has an owner.
    tokio::time::sleep(TIMING.dead() * 3).await;
    assert!(b.trainers.begun.lock().unwrap().is_empty());

    doom.kill();
    let killed_at = std::time::Instant::now();
    for operation in [&running, &waiting] {
        let ended = b.ended(operation).await;
        assert!(matches!(ended.result, Some(Outcome::Response(_))), "{ended:?}");
    }
    assert!(killed_at.elapsed() < TIMING.dead() * 10, "{:?}", killed_at.elapsed());
    assert_eq!(*b.trainers.begun.lock().unwrap(), ["teachers/running", "teachers/waiting"]);
    assert_eq!(teacher(&b, "waiting").await.state(), raw::ModelState::Ready);

    // What the dead one left does not stay for ever; the other one takes its own sign down when it is idle.
    let cleaned = async {
        while !b.artifacts.document_paths("catalog/replicas").await.unwrap().is_empty() {
            tokio::time::sleep(TIMING.refresh()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), cleaned).await.expect("the board is clean in the end");
}

#[tokio::test]
async fn a_replica_that_stops_hands_its_trainings_over_at_once() {
    let (_folder, a, b) = folder().await;
    let (a, b) = (World::over(a), World::over(b));
    let operation = create(&a, "t").await;
    a.trainers.let_steps(1);
    until(|| a.trainers.running.load(Ordering::SeqCst) == 1).await;
    b.trainers.let_steps(100);
    a.stop().await;
    let ended = b.ended(&operation).await;
    assert!(matches!(ended.result, Some(Outcome::Response(_))), "{ended:?}");
}

#[tokio::test]
async fn one_request_that_reaches_both_replicas_is_one_training() {
    let (_folder, a, b) = folder().await;
    let (a, b) = (World::over(a), World::over(b));
    for round in 0..8 {
        let request_id = format!("0a8f3c1e-5d2b-4c6a-9e7f-12345678900{round}");
        let request = raw::CreateTeacherRequest { request_id, ..new_teacher(&format!("t{round}")) };
        let (mut first, mut second) = (a.catalog.clone(), b.catalog.clone());
        let (first, second) = tokio::join!(first.create_teacher(request.clone()), second.create_teacher(request));
        assert_eq!(first.unwrap().into_inner().name, second.unwrap().into_inner().name);
    }
    let begun = async {
        a.trainers.let_steps(100);
        b.trainers.let_steps(100);
        for round in 0..8 {
            until_ready(&a, &format!("t{round}")).await;
        }
    };
    begun.await;
    let count = a.trainers.begun.lock().unwrap().len() + b.trainers.begun.lock().unwrap().len();
    assert_eq!(count, 8, "each was trained by one of them");
}

#[tokio::test]
async fn a_name_is_given_once_by_all_replicas() {
    let (_folder, a, b) = folder().await;
    let (a, b) = (World::over(a), World::over(b));
    for round in 0..8 {
        let request = || new_teacher(&format!("t{round}"));
        let (mut first, mut second) = (a.catalog.clone(), b.catalog.clone());
        let answers = tokio::join!(first.create_teacher(request()), second.create_teacher(request()));
        let refused: Vec<_> = [answers.0, answers.1].into_iter().filter_map(Result::err).collect();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(reason(&refused[0]), "TEACHER_EXISTS");
    }
    let listed = b.operations.clone().list_operations(ListOperationsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.operations.len(), 8, "what was refused left nothing behind");
}

#[tokio::test]
async fn a_model_that_a_job_put_there_is_seen_and_deleted_as_any_other() {
    let (_folder, a, b) = folder().await;
    let made = World::over(a.clone()).trained("made").await;
    let world = World::over(b);
    let mut updates = world.catalog.clone().watch_activity(raw::WatchActivityRequest {}).await.unwrap().into_inner();
    updates.message().await.unwrap();
    let record = raw::Teacher { name: "teachers/job".into(), operation: String::new(), ..made };
    let bytes = prost::Message::encode_to_vec(&record);
    a.put_document("catalog/teachers/job", bytes, artifacts::Condition::Absent).await.unwrap();
    loop {
        if let Update::Teacher(told) = updates.message().await.unwrap().unwrap().update.unwrap()
            && told.name == "teachers/job"
        {
            assert_eq!(told.state(), raw::ModelState::Ready);
            break;
        }
    }
    let name = "teachers/job".to_owned();
    world.catalog.clone().delete_teacher(raw::DeleteTeacherRequest { name }).await.unwrap();
    assert!(a.document("catalog/teachers/job").await.unwrap().is_none());
}
