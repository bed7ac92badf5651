//! Models are made by operations: queued, followed, judged, cancelled, resumed.

use std::{sync::atomic::Ordering, time::Duration};

use domain::Error;
use prost::Message;
use proto::raw::{
    deeper::{catalog::v1 as raw, types::v1 as types},
    google::longrunning::{
        CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest, Operation,
        operation::Result as Outcome,
    },
};
use tonic::Code;

use crate::{
    reason,
    world::{World, new_teacher, until},
    wrong_fields,
};

fn metadata(operation: &Operation) -> raw::TrainingMetadata {
    raw::TrainingMetadata::decode(operation.metadata.as_ref().unwrap().value.as_slice()).unwrap()
}

fn new_autoencoder(id: &str) -> raw::CreateAutoencoderRequest {
    raw::CreateAutoencoderRequest {
        autoencoder_id: id.to_owned(),
        display_name: "A VAE".to_owned(),
        recipe: Some(types::AutoencoderRecipe {
            dataset: "datasets/tiny".to_owned(),
            training_split: "train".to_owned(),
            ..Default::default()
        }),
        request_id: String::new(),
    }
}

#[tokio::test]
async fn a_teacher_is_trained_evaluated_and_then_ready_with_its_accuracy() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    let operation = catalog.create_teacher(new_teacher("t")).await.unwrap().into_inner();
    assert!(!operation.done && operation.result.is_none());
    let teacher = catalog.get_teacher(raw::GetTeacherRequest { name: "teachers/t".into() }).await.unwrap().into_inner();
    assert_eq!((teacher.state(), &teacher.operation), (raw::ModelState::Training, &operation.name));
    assert_eq!(teacher.recipe.unwrap().epoch_count, Some(3), "defaults are filled in");

    world.trainers.let_steps(4);
    let ended = world.ended(&operation.name).await;
    let Some(Outcome::Response(response)) = &ended.result else { panic!("{ended:?}") };
    assert_eq!(response.type_url, "type.googleapis.com/deeper.catalog.v1.Teacher");
    let teacher = raw::Teacher::decode(response.value.as_slice()).unwrap();
    assert_eq!((teacher.state(), teacher.accuracy), (raw::ModelState::Ready, Some(4.0 / 6.0)));
    assert_eq!((teacher.evaluated_example_count, teacher.digest.as_str()), (6, "abc"));
    let progress = metadata(&ended).progress.unwrap();
    assert_eq!(progress.phase(), types::TrainingPhase::Finished);
    assert_eq!(progress.loss_curve.len(), 1, "the curve of the training is kept");
}

#[tokio::test]
async fn trainings_run_one_by_one_in_the_order_they_were_asked_for() {
    let world = World::new().await;
    let mut names = Vec::new();
    for id in ["c", "a", "b"] {
        names.push(world.catalog.clone().create_teacher(new_teacher(id)).await.unwrap().into_inner().name);
    }
    names.push(world.catalog.clone().create_autoencoder(new_autoencoder("v")).await.unwrap().into_inner().name);
    world.trainers.let_steps(100);
    for name in &names {
        world.ended(name).await;
    }
    assert_eq!(*world.trainers.begun.lock().unwrap(), ["teachers/c", "teachers/a", "teachers/b", "autoencoders/v"]);
    assert_eq!(world.trainers.most_running.load(Ordering::SeqCst), 1);
    let request = raw::GetAutoencoderRequest { name: "autoencoders/v".into() };
    let autoencoder = world.catalog.clone().get_autoencoder(request).await.unwrap().into_inner();
    assert_eq!((autoencoder.state(), autoencoder.loss), (raw::ModelState::Ready, Some(104.5)));
    assert_eq!(autoencoder.display_name, "A VAE");
}

#[tokio::test]
async fn cancelling_stops_the_work_and_a_queued_training_does_not_wait_for_its_turn() {
    let world = World::new().await;
    let (mut catalog, mut operations) = (world.catalog.clone(), world.operations.clone());
    let first = catalog.create_teacher(new_teacher("first")).await.unwrap().into_inner().name;
    let second = catalog.create_teacher(new_teacher("second")).await.unwrap().into_inner().name;
    world.trainers.let_steps(1);
    until(|| world.trainers.running.load(Ordering::SeqCst) == 1).await;
    for name in [&second, &first] {
        operations.cancel_operation(CancelOperationRequest { name: name.clone() }).await.unwrap();
        let ended = world.ended(name).await;
        let Some(Outcome::Error(error)) = ended.result else { panic!("{ended:?}") };
        assert_eq!(error.code, i32::from(Code::Cancelled));
    }
    until(|| world.trainers.running.load(Ordering::SeqCst) == 0).await;
    assert_eq!(*world.trainers.begun.lock().unwrap(), ["teachers/first"]);
    let request = raw::GetTeacherRequest { name: "teachers/first".into() };
    let teacher = catalog.get_teacher(request).await.unwrap().into_inner();
    assert_eq!((teacher.state(), teacher.failure.as_str()), (raw::ModelState::Failed, "the training was cancelled"));
}

#[tokio::test]
async fn a_restart_resumes_what_was_running_and_remembers_what_had_ended() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    let done = world.trained("done").await.operation;
    let running = catalog.create_autoencoder(new_autoencoder("running")).await.unwrap().into_inner().name;
    let waiting = catalog.create_teacher(new_teacher("waiting")).await.unwrap().into_inner().name;
    let artifacts = world.stop().await;

    let world = World::over(artifacts);
    let remembered = world.ended(&done).await;
    assert!(matches!(remembered.result, Some(Outcome::Response(_))), "{remembered:?}");
    world.trainers.let_steps(100);
    for name in [&running, &waiting] {
        let ended = world.ended(name).await;
        assert!(matches!(ended.result, Some(Outcome::Response(_))), "{ended:?}");
    }
    let mut begun = world.trainers.begun.lock().unwrap().clone();
    begun.sort();
    assert_eq!(begun, ["autoencoders/running", "teachers/waiting"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_away_is_tried_again_and_a_wrong_recipe_is_not() {
    let world = World::new().await;
    let away = || Error::UpstreamUnavailable { service: "teacher".into() };
    *world.trainers.failures.lock().unwrap() = vec![away(), away(), away()];
    assert_eq!(world.trained("t").await.state(), raw::ModelState::Ready);
    assert_eq!(world.trainers.begun.lock().unwrap().len(), 4);

    *world.trainers.failures.lock().unwrap() = vec![Error::invalid("recipe.batch_size", "is above the split's size")];
    let failed = world.trained("u").await;
    assert_eq!(failed.state(), raw::ModelState::Failed);
    assert_eq!(failed.failure, "recipe.batch_size: is above the split's size");
}

#[tokio::test]
async fn every_wrong_field_of_a_new_model_is_named() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    let mut request = new_teacher("A/b");
    request.request_id = "no uuid".to_owned();
    request.display_name = "x".repeat(201);
    let recipe = request.recipe.as_mut().unwrap();
    (recipe.training_split, recipe.evaluation_split) = ("nothing".to_owned(), "neither".to_owned());
    let refused = catalog.create_teacher(request.clone()).await.unwrap_err();
    let every = ["request_id", "display_name", "teacher_id", "recipe.training_split", "recipe.evaluation_split"];
    assert_eq!(wrong_fields(&refused), every);

    let recipe = request.recipe.as_mut().unwrap();
    (recipe.epoch_count, recipe.learning_rate) = (Some(0), Some(f64::NAN));
    let refused = catalog.create_teacher(request.clone()).await.unwrap_err();
    let named = wrong_fields(&refused);
    for field in ["request_id", "display_name", "teacher_id", "recipe.epoch_count", "recipe.learning_rate"] {
        assert!(named.contains(&field.to_owned()), "{named:?} lacks {field}");
    }

    request = new_teacher("t");
    request.recipe.as_mut().unwrap().dataset = "datasets/none".to_owned();
    assert_eq!(wrong_fields(&catalog.create_teacher(request).await.unwrap_err()), ["recipe.dataset"]);
    let missing = raw::CreateAutoencoderRequest { autoencoder_id: "v".into(), ..Default::default() };
    assert_eq!(wrong_fields(&catalog.create_autoencoder(missing).await.unwrap_err()), ["recipe"]);
}

#[tokio::test]
async fn a_repeated_request_answers_the_same_operation() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    let request_id = "0a8f3c1e-5d2b-4c6a-9e7f-123456789abc".to_owned();
    let request = raw::CreateTeacherRequest { request_id: request_id.clone(), ..new_teacher("t") };
    let first = catalog.create_teacher(request.clone()).await.unwrap().into_inner();
    let again = catalog.create_teacher(request).await.unwrap().into_inner();
    assert_eq!(first.name, again.name);
    let other = raw::CreateTeacherRequest { request_id, ..new_teacher("u") };
    assert_eq!(wrong_fields(&catalog.create_teacher(other).await.unwrap_err()), ["request_id"]);
    let taken = catalog.create_teacher(new_teacher("t")).await.unwrap_err();
    assert_eq!((taken.code(), reason(&taken).as_str()), (Code::AlreadyExists, "TEACHER_EXISTS"));
}

#[tokio::test]
async fn a_request_that_comes_again_after_its_model_was_deleted_brings_nothing_back() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    let request_id = "0a8f3c1e-5d2b-4c6a-9e7f-123456789abc".to_owned();
    let request = raw::CreateTeacherRequest { request_id, ..new_teacher("t") };
    let first = catalog.create_teacher(request.clone()).await.unwrap().into_inner();
    world.trainers.let_steps(100);
    world.ended(&first.name).await;
    let name = "teachers/t".to_owned();
    catalog.delete_teacher(raw::DeleteTeacherRequest { name: name.clone() }).await.unwrap();
    let again = catalog.create_teacher(request).await.unwrap().into_inner();
    assert_eq!((again.name, again.done), (first.name, true));
    let Some(Outcome::Error(error)) = again.result else { panic!("what it made is gone") };
    assert!(matches!(proto::rpc::error_from_rpc(error), domain::Error::NotFound { kind: "TEACHER", .. }));
    let gone = catalog.get_teacher(raw::GetTeacherRequest { name }).await.unwrap_err();
    assert_eq!(reason(&gone), "TEACHER_NOT_FOUND");
}

#[tokio::test]
async fn a_model_that_trains_is_not_deleted_and_a_deleted_one_is_gone() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    let name = "teachers/t".to_owned();
    catalog.create_teacher(new_teacher("t")).await.unwrap();
    let refused = catalog.delete_teacher(raw::DeleteTeacherRequest { name: name.clone() }).await.unwrap_err();
    assert_eq!(reason(&refused), "MODEL_TRAINING");
    world.trainers.let_steps(100);
    let operation =
        catalog.get_teacher(raw::GetTeacherRequest { name: name.clone() }).await.unwrap().into_inner().operation;
    world.ended(&operation).await;
    catalog.delete_teacher(raw::DeleteTeacherRequest { name: name.clone() }).await.unwrap();
    let gone = catalog.get_teacher(raw::GetTeacherRequest { name }).await.unwrap_err();
    assert_eq!((gone.code(), reason(&gone).as_str()), (Code::NotFound, "TEACHER_NOT_FOUND"));
    let ended = world.ended(&operation).await;
    assert!(matches!(ended.result, Some(Outcome::Error(_))), "what it made is gone");
    catalog.create_teacher(new_teacher("t")).await.unwrap();
}

#[tokio::test]
async fn operations_are_listed_in_pages_and_deleted_once_they_have_ended() {
    let world = World::new().await;
    let mut operations = world.operations.clone();
    for id in ["a", "b", "c"] {
        world.trained(id).await;
    }
    let mut token = String::new();
    let mut names = Vec::new();
    loop {
        let request = ListOperationsRequest { page_size: 2, page_token: token, ..Default::default() };
        let page = operations.list_operations(request).await.unwrap().into_inner();
        names.extend(page.operations.into_iter().map(|operation| operation.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 3);
    operations.delete_operation(DeleteOperationRequest { name: names[0].clone() }).await.unwrap();
    let gone = operations.get_operation(GetOperationRequest { name: names[0].clone() }).await.unwrap_err();
    assert_eq!(reason(&gone), "OPERATION_NOT_FOUND");
    let filtered = ListOperationsRequest { filter: "done".into(), page_size: -1, ..Default::default() };
    assert_eq!(wrong_fields(&operations.list_operations(filtered).await.unwrap_err()), ["filter", "page_size"]);
    let unknown = operations.get_operation(GetOperationRequest { name: "operations/explanation-x".into() }).await;
    assert_eq!(reason(&unknown.unwrap_err()), "OPERATION_NOT_FOUND");
}

#[tokio::test]
async fn a_wait_answers_the_latest_state_when_its_time_is_up() {
    let world = World::new().await;
    let name = world.catalog.clone().create_teacher(new_teacher("t")).await.unwrap().into_inner().name;
    let timeout = Some(Duration::from_millis(20).try_into().unwrap());
    let request = proto::raw::google::longrunning::WaitOperationRequest { name, timeout };
    assert!(!world.operations.clone().wait_operation(request).await.unwrap().into_inner().done);
}
