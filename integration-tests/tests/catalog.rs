//! The catalog of a world whose confusion matrix is known, and its trainings.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use integration_tests::{
    Failure, Sandbox, World,
    known::{ENDLESS_SEED, LABEL_COUNT},
    world::{DATASET, TEACHER},
};
use prost::Message;
use proto::raw::{
    deeper::catalog::v1::{self as raw, watch_activity_response::Update},
    google::longrunning as lro,
};
use tonic::Code;

#[tokio::test]
async fn the_confusion_matrix_counts_every_fifth_image_as_an_error() {
    let sandbox = Sandbox::linear().await;
    let request =
        raw::GetConfusionMatrixRequest { teacher: TEACHER.into(), dataset: DATASET.into(), split: String::new() };
    let matrix = sandbox.api.catalog.clone().get_confusion_matrix(request).await.unwrap().into_inner();
    assert_eq!(matrix.split, "train");
    let count = |gold: usize, predicted: usize| matrix.counts[gold * LABEL_COUNT + predicted];
    let correct: u64 = (0..LABEL_COUNT).map(|i| count(i, i)).sum();
    let shifted: u64 = (0..LABEL_COUNT).map(|i| count((i + 1) % LABEL_COUNT, i)).sum();
    assert_eq!((correct, shifted, matrix.counts.iter().sum::<u64>()), (80, 20, 100));

    let request = raw::GetTeacherRequest { name: TEACHER.into() };
    let teacher = sandbox.api.catalog.clone().get_teacher(request).await.unwrap().into_inner();
    assert_eq!((teacher.accuracy, teacher.evaluated_example_count), (Some(0.8), 100));
    assert_eq!(teacher.state(), raw::ModelState::Ready);
}

#[tokio::test]
async fn errors_are_listed_page_by_page_in_the_order_that_was_asked_for() {
    let sandbox = Sandbox::linear().await;
    let request = |page_token: String| raw::ListExamplesRequest {
        parent: DATASET.into(),
        split: "train".into(),
        teacher: TEACHER.into(),
        errors_only: true,
        order: raw::ExampleOrder::Confidence.into(),
        page_size: 8,
        page_token,
        ..Default::default()
    };
    let mut examples = Vec::new();
    let mut token = String::new();
    let mut sizes = Vec::new();
    loop {
        let page = sandbox.api.catalog.clone().list_examples(request(token)).await.unwrap().into_inner();
        assert_eq!(page.total_size, 20);
        sizes.push(page.examples.len());
        examples.extend(page.examples);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [8, 8, 4]);
    let confidence = |example: &raw::Example| {
        example.soft_labels.as_ref().unwrap().probabilities.iter().copied().fold(0.0, f64::max)
    };
    assert!(examples.windows(2).all(|pair| confidence(&pair[0]) >= confidence(&pair[1])));
    assert!(examples.iter().all(|example| example.index % 5 == 4));
    assert_eq!(examples[0].name, format!("{DATASET}/examples/train-{}", examples[0].index));
}

#[tokio::test]
async fn a_training_can_be_watched_and_cancelled() {
    let sandbox = Sandbox::linear().await;
    let mut activity =
        sandbox.api.catalog.clone().watch_activity(raw::WatchActivityRequest {}).await.unwrap().into_inner();
    let first = activity.message().await.unwrap().unwrap();
    let Some(Update::Snapshot(snapshot)) = first.update else { panic!("the first message is a snapshot") };
    assert_eq!((snapshot.datasets.len(), snapshot.teachers.len(), snapshot.autoencoders.len()), (1, 1, 2));

    let operation = sandbox.create_autoencoder("endless", 4, ENDLESS_SEED).await.unwrap();
    let stepped = loop {
        let update = activity.message().await.unwrap().unwrap().update.unwrap();
        if let Update::Operation(activity) = update
            && activity.progress.as_ref().is_some_and(|progress| progress.step > 0)
        {
            break activity;
        }
    };
    assert_eq!((stepped.name, stepped.target.as_str()), (operation.name.clone(), "autoencoders/endless"));

    // A model that is being trained cannot be used, and says until when.
    let mut request = integration_tests::api::explain_image("x", &integration_tests::known::random_image(1));
    request.autoencoder = "autoencoders/endless".into();
    let failure = Failure::of(sandbox.api.explanations.clone().create_explanation(request).await);
    failure.expect(Code::Unavailable, "MODEL_NOT_READY");
    assert_eq!(failure.details.error_info().unwrap().metadata["operation"], operation.name);
    assert!(failure.details.retry_info().is_some());

    let request = lro::CancelOperationRequest { name: operation.name.clone() };
    sandbox.api.operations.clone().cancel_operation(request).await.unwrap();
    let ended = sandbox.api.finished(operation).await.unwrap();
    let Some(lro::operation::Result::Error(error)) = ended.result else { panic!("it was cancelled: {ended:?}") };
    Failure::from(error).expect(Code::Cancelled, "CANCELLED");
    let request = raw::GetAutoencoderRequest { name: "autoencoders/endless".into() };
    let model = sandbox.api.catalog.clone().get_autoencoder(request).await.unwrap().into_inner();
    assert_eq!(model.state(), raw::ModelState::Failed);
}

#[tokio::test]
async fn a_restart_finds_models_and_explanations_again_and_computes_the_same_bytes() {
    use integration_tests::{
        api::{explain_image, fitted},
        known::random_image,
    };
    let world = World::linear().await;
    let before = Sandbox::start(&world).await;
    let explained = before.api.explain(explain_image("x", &random_image(2))).await.unwrap();
    before.shut_down().await;

    let after = Sandbox::start(&world).await;
    let mut client = after.api.explanations.clone();
    let request = proto::raw::deeper::explanation::v1::WatchExplanationRequest { name: explained.name.clone() };
    let mut watch = client.watch_explanation(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(snapshot) = watch.message().await.unwrap() {
        last = Some(snapshot);
    }
    let again = last.unwrap();
    assert_eq!(fitted(&again), fitted(&explained));
    assert_eq!(again.create_time, explained.create_time);
}

#[tokio::test]
async fn an_explanation_that_succeeded_has_done_so_after_a_restart_before_anybody_looks() {
    use integration_tests::{api::explain_image, known::random_image};
    use proto::raw::deeper::explanation::v1 as explanation;
    let world = World::linear().await;
    let before = Sandbox::start(&world).await;
    let explained = before.api.explain(explain_image("x", &random_image(2))).await.unwrap();
    before.shut_down().await;

    let after = Sandbox::start(&world).await;
    // Nothing is computed for what follows: the teacher would not answer.
    world.brake.hold_after(0);
    let mut operations = after.api.operations.clone();
    let listed = operations.list_operations(lro::ListOperationsRequest::default()).await.unwrap().into_inner();
    let listed = listed.operations.into_iter().find(|listed| listed.name == explained.operation).unwrap();
    let request = lro::GetOperationRequest { name: explained.operation.clone() };
    let got = operations.get_operation(request.clone()).await.unwrap().into_inner();
    let waited = lro::WaitOperationRequest { name: explained.operation.clone(), timeout: None };
    let waited = operations.wait_operation(waited).await.unwrap().into_inner();
    assert!(listed.done && got.done && waited == got, "{listed:?} {got:?}");
    let Some(lro::operation::Result::Response(response)) = got.result else { panic!("it succeeded: {got:?}") };
    let recorded = explanation::Explanation::decode(response.value.as_slice()).unwrap();
    assert_eq!((recorded.state(), recorded.labeled_neighbor_count), (explanation::State::Succeeded, 1_000));
    assert_eq!(recorded.create_time, explained.create_time);

    // Whoever looks has it computed again. It stays done meanwhile, and if that comes to nothing.
    let mut client = after.api.explanations.clone();
    let watch = explanation::WatchExplanationRequest { name: explained.name.clone() };
    let mut watching = client.watch_explanation(watch.clone()).await.unwrap().into_inner();
    world.brake.held().await;
    assert!(operations.get_operation(request.clone()).await.unwrap().into_inner().done);
    let cancel = lro::CancelOperationRequest { name: explained.operation.clone() };
    operations.cancel_operation(cancel).await.unwrap();
    let mut last = None;
    while let Some(snapshot) = watching.message().await.unwrap() {
        last = Some(snapshot.state());
    }
    assert_eq!(last, Some(explanation::State::Cancelled));
    world.brake.release();
    let got = operations.get_operation(request).await.unwrap().into_inner();
    assert!(matches!(got.result, Some(lro::operation::Result::Response(_))), "{got:?}");
    let mut watching = client.watch_explanation(watch).await.unwrap().into_inner();
    let mut last = None;
    while let Some(snapshot) = watching.message().await.unwrap() {
        last = Some(snapshot);
    }
    assert_eq!(last.unwrap().student, explained.student);
}

#[tokio::test]
async fn a_deleted_model_is_gone_with_its_answers() {
    let sandbox = Sandbox::linear().await;
    let mut catalog = sandbox.api.catalog.clone();
    catalog.delete_teacher(raw::DeleteTeacherRequest { name: TEACHER.into() }).await.unwrap();
    let failure = Failure::of(catalog.get_teacher(raw::GetTeacherRequest { name: TEACHER.into() }).await);
    failure.expect(Code::NotFound, "TEACHER_NOT_FOUND");
    assert_eq!(failure.details.resource_info().unwrap().resource_name, TEACHER);
    let request =
        raw::GetConfusionMatrixRequest { teacher: TEACHER.into(), dataset: DATASET.into(), ..Default::default() };
    Failure::of(catalog.get_confusion_matrix(request).await).expect(Code::NotFound, "TEACHER_NOT_FOUND");
}
