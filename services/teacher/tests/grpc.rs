//! The face over a pipe, with teachers whose answers are known: codes, details, limits, cancellation.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{sync::Arc, time::Duration};

use artifacts::{Artifacts, IdxSplit, Slot, idx};
use domain::{ImageBatch, ImageShape, LinearClassifier, ResourceName};
use proto::raw::deeper::{
    teacher::v1::{
        AttributeImageRequest, ClassifyImagesRequest, EvaluateTeacherRequest, TrainTeacherRequest,
        teacher_service_client::TeacherServiceClient,
    },
    types::v1 as raw,
};
use runtime::{
    channel::{self, Channel},
    gate::Gate,
    long::TrainingQueue,
    server::MAX_MESSAGE_BYTES,
};
use teacher::{
    Models,
    known::{KnownWorkshop, LinearTeacher},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt;

const SHAPE: ImageShape = ImageShape::gray(2, 2);
const KNOWN: &str = "teachers/known";
const NEW: &str = "teachers/new";

struct Service {
    client: TeacherServiceClient<Channel>,
    health: HealthClient<Channel>,
    artifacts: Artifacts,
    workshop: Arc<KnownWorkshop>,
    _stop: DropGuard,
}

/// Two labels: the first likes the left column, the second the right one.
fn known() -> LinearTeacher {
    LinearTeacher::from(biased(0.5))
}

/// The same weights, and so the same slopes, with another bias of the first label.
fn biased(bias: f64) -> LinearClassifier {
    let weights = vec![vec![1.0, 0.0, 2.0, 0.0], vec![0.0, 3.0, 0.0, 4.0]];
    LinearClassifier::new(SHAPE, weights, vec![bias, 0.0]).unwrap()
}

fn name(text: &str) -> ResourceName {
    ResourceName::parse(text, ResourceName::TEACHER).unwrap()
}

fn start_with(workshop: KnownWorkshop) -> Service {
    start_warm(workshop, vec![])
}

/// SERVING once these are warm.
fn start_warm(workshop: KnownWorkshop, warm: Vec<ResourceName>) -> Service {
    let artifacts = Artifacts::in_memory();
    let gate = Gate::new();
    let trainings = TrainingQueue::new(gate.clone());
    let workshop = Arc::new(workshop.with_teacher(name(KNOWN), known()));
    let models = Arc::new(Models::new(Arc::clone(&workshop) as _, artifacts.clone(), gate, trainings, 2));
    let (channel, incoming) = channel::in_process("teacher");
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move { teacher::serve_warm(models, &warm, incoming, stop).await });
    let health = HealthClient::new(channel.clone());
    let client = TeacherServiceClient::new(channel)
        .max_encoding_message_size(2 * MAX_MESSAGE_BYTES)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    Service { client, health, artifacts, workshop, _stop: shutdown.drop_guard() }
}

fn start() -> Service {
    start_with(KnownWorkshop::new(known()))
}

fn batch(pixels: Vec<u8>) -> Option<raw::ImageBatch> {
    Some(raw::ImageBatch { channels: 1, height: 2, width: 2, pixels })
}

fn image(pixels: Vec<u8>) -> Option<raw::Image> {
    Some(raw::Image { channels: 1, height: 2, width: 2, pixels })
}

fn recipe() -> raw::TeacherRecipe {
    raw::TeacherRecipe {
        source: Some(raw::teacher_recipe::Source::Train(raw::Architecture::SmallCnn.into())),
        dataset: "datasets/tiny".into(),
        training_split: "train".into(),
        evaluation_split: "test".into(),
        ..Default::default()
    }
}

fn train(teacher: &str) -> TrainTeacherRequest {
    TrainTeacherRequest { teacher: teacher.into(), recipe: Some(recipe()) }
}

fn check(status: &Status, code: Code, reason: &str) {
    let details = status.get_error_details();
    let told = details.error_info().map(|info| info.reason.as_str());
    assert_eq!((status.code(), told), (code, Some(reason)), "{status:?}");
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations.iter().map(|violation| violation.field.clone()).collect()
}

#[tokio::test]
async fn logits_are_those_of_the_teacher_for_any_number_of_images() {
    let mut service = start();
    for count in [1usize, 16, 17, 1_024] {
        let pixels: Vec<u8> = (0..count * 4).map(|i| (i * 37 % 256) as u8).collect();
        let request = ClassifyImagesRequest { teacher: KNOWN.into(), images: batch(pixels.clone()) };
        let answer = service.client.classify_images(request).await.unwrap().into_inner();
        assert_eq!((answer.logits.len(), answer.label_count), (count * 2, 2));
        for (image, logits) in pixels.chunks(4).zip(answer.logits.chunks(2)) {
            let ink: Vec<f32> = image.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            let expected = [0.5 + ink[0] + 2.0 * ink[2], 3.0 * ink[1] + 4.0 * ink[3]];
            assert!(logits.iter().zip(expected).all(|(got, want)| (got - want).abs() < 1e-5));
        }
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let mut service = start();
    let request = ClassifyImagesRequest { teacher: "teachers/UP".into(), images: None };
    let status = service.client.classify_images(request).await.unwrap_err();
    check(&status, Code::InvalidArgument, "INVALID_FIELDS");
    assert_eq!(fields(&status), ["teacher", "images"]);
    let mut request = train("nobody");
    request.recipe = Some(raw::TeacherRecipe { epoch_count: Some(0), learning_rate: Some(f64::NAN), ..recipe() });
    let status = service.client.train_teacher(request).await.unwrap_err();
    assert_eq!(fields(&status), ["teacher", "recipe.epoch_count", "recipe.learning_rate"]);
    let request = EvaluateTeacherRequest { teacher: KNOWN.into(), dataset: "mnist".into(), split: String::new() };
    let status = service.client.evaluate_teacher(request).await.unwrap_err();
    assert_eq!(fields(&status), ["dataset", "split"]);
}

#[tokio::test]
async fn images_that_are_none_too_many_torn_or_of_another_shape_are_refused() {
    let mut service = start();
    let mut ask = async |images| {
        let request = ClassifyImagesRequest { teacher: KNOWN.into(), images };
        service.client.classify_images(request).await.unwrap_err()
    };
    for pixels in [vec![], vec![0; 3], vec![0; 4 * 1_025], vec![0; (1 << 20) + 4]] {
        check(&ask(batch(pixels)).await, Code::InvalidArgument, "INVALID_FIELDS");
    }
    let wide = raw::ImageBatch { channels: 1, height: 1, width: 4, pixels: vec![0; 4] };
    check(&ask(Some(wide)).await, Code::InvalidArgument, "IMAGE_SHAPE_MISMATCH");
    let huge = raw::ImageBatch { channels: u32::MAX, height: u32::MAX, width: 4, pixels: vec![0; 4] };
    check(&ask(Some(huge)).await, Code::InvalidArgument, "INVALID_FIELDS");
    let oversized = ask(batch(vec![0; MAX_MESSAGE_BYTES + 4])).await;
    check(&oversized, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_teacher_that_is_not_there_is_not_found() {
    let mut service = start();
    let request = ClassifyImagesRequest { teacher: NEW.into(), images: batch(vec![0; 4]) };
    check(&service.client.classify_images(request).await.unwrap_err(), Code::NotFound, "TEACHER_NOT_FOUND");
}

#[tokio::test]
async fn attributions_are_the_weights_of_a_linear_teacher() {
    let mut service = start();
    let occlusion = raw::attribution_spec::Method::Occlusion(raw::Occlusion { patch_size: Some(1), stride: None });
    let gradient = raw::attribution_spec::Method::GradientTimesInput(raw::GradientTimesInput {});
    let ink = [1.0f32, 0.2, 0.4, 0.6];
    let weights = [-1.0f32, 3.0, -2.0, 4.0];
    for (method, expected) in [(occlusion, weights), (gradient, std::array::from_fn(|i| weights[i] * ink[i]))] {
        let spec = raw::AttributionSpec { method: Some(method), target_label: None, baseline_label: Some(0) };
        let image = image(vec![255, 51, 102, 153]);
        let request = AttributeImageRequest { teacher: KNOWN.into(), image, spec: Some(spec) };
        let answer = service.client.attribute_image(request).await.unwrap().into_inner();
        let spec = answer.spec.unwrap();
        assert_eq!((spec.target_label, spec.baseline_label), (Some(1), Some(0)), "3.0 against 2.3: label 1");
        let values = answer.heatmap.unwrap().values;
        assert!(values.iter().zip(expected).all(|(got, want)| (got - want).abs() < 1e-4), "{values:?}");
        assert_eq!((answer.engine.as_str(), answer.dissent), ("linear f64", None));
    }
}

#[tokio::test]
async fn a_copy_that_answers_another_class_says_so_and_one_that_agrees_does_not() {
    // The served one answers 2.3 and 3.0 to the image: label 1. The copies' first logit is 2.3 and 3.3.
    for (bias, copys_label) in [(0.5, None), (1.5, Some(0))] {
        let service = start_with(KnownWorkshop::new(known()));
        service.workshop.put(name(KNOWN), known().with_gradients_of(biased(bias)));
        let ask = async |method| {
            let spec = raw::AttributionSpec { method: Some(method), target_label: None, baseline_label: Some(0) };
            let image = image(vec![255, 51, 102, 153]);
            let request = AttributeImageRequest { teacher: KNOWN.into(), image, spec: Some(spec) };
            service.client.clone().attribute_image(request).await.unwrap().into_inner()
        };
        let answer = ask(raw::attribution_spec::Method::GradientTimesInput(raw::GradientTimesInput {})).await;
        assert_eq!(answer.engine, "linear f64 copy");
        assert_eq!(answer.spec.unwrap().target_label, Some(1), "the served engine chooses what is explained");
        let label = answer.dissent.as_ref().map(|dissent| usize::from(dissent.probabilities[1] > 0.5));
        assert_eq!(label, copys_label);
        if let Some(dissent) = answer.dissent {
            // softmax(3.3, 3.0)
            let expected = 1.0 / (1.0 + (-0.3f64).exp());
            assert!((dissent.probabilities[0] - expected).abs() < 1e-6, "{dissent:?}");
            assert_eq!(dissent.temperature, 1.0);
        }
        let served =
            ask(raw::attribution_spec::Method::Occlusion(raw::Occlusion { patch_size: Some(1), stride: None })).await;
        assert_eq!((served.engine.as_str(), served.dissent), ("linear f64", None), "no copy was asked");
    }
}

#[tokio::test]
async fn a_named_teacher_must_be_warm_before_the_service_is_serving() {
    let mut service = start_warm(KnownWorkshop::new(known()), vec![name(KNOWN), name(NEW)]);
    let request = HealthCheckRequest { service: "deeper.teacher.v1.TeacherService".to_owned() };
    let mut health = service.health.watch(request).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    // Whoever does not wait for it is answered.
    let ask = ClassifyImagesRequest { teacher: KNOWN.into(), images: batch(vec![0; 4]) };
    service.client.classify_images(ask).await.unwrap();
    let mut training = service.client.train_teacher(train(NEW)).await.unwrap().into_inner();
    while training.message().await.unwrap().is_some() {}
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn a_teacher_that_was_deleted_or_replaced_is_closed_soon_after() {
    let mut service = start();
    let (teacher, artifacts) = (name(KNOWN), service.artifacts.clone());
    let put = async |bytes: &'static [u8]| artifacts.put_checkpoint(&teacher, Slot::Final, bytes, "").await.unwrap();
    let mut ask = async || {
        let request = ClassifyImagesRequest { teacher: KNOWN.into(), images: batch(vec![0; 4]) };
        service.client.classify_images(request).await.map(|answer| answer.into_inner().logits)
    };
    put(b"first").await;
    assert_eq!(ask().await.unwrap(), [0.5, 0.0]);
    // Another process trains a teacher of the same name.
    service.workshop.put(teacher.clone(), LinearTeacher::from(biased(9.0)));
    put(b"second").await;
    while ask().await.unwrap() == [0.5, 0.0] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ask().await.unwrap(), [9.0, 0.0]);
    service.workshop.forget(&teacher);
    artifacts.delete_model(&teacher).await.unwrap();
    let status = loop {
        match ask().await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(status) => break status,
        }
    };
    check(&status, Code::NotFound, "TEACHER_NOT_FOUND");
}

#[tokio::test]
async fn an_attribution_of_labels_or_patches_that_are_not_there_is_refused() {
    let mut service = start();
    let mut ask = async |patch_size, target_label, baseline_label| {
        let method = raw::attribution_spec::Method::Occlusion(raw::Occlusion { patch_size, stride: None });
        let spec = raw::AttributionSpec { method: Some(method), target_label, baseline_label };
        let request = AttributeImageRequest { teacher: KNOWN.into(), image: image(vec![255; 4]), spec: Some(spec) };
        service.client.attribute_image(request).await.unwrap_err()
    };
    for (patch, target, baseline) in [(Some(3), None, None), (Some(1), Some(2), None), (Some(1), Some(1), Some(1))] {
        check(&ask(patch, target, baseline).await, Code::InvalidArgument, "INVALID_FIELDS");
    }
}

#[tokio::test]
async fn a_training_streams_its_way_and_the_teacher_answers_then() {
    let mut service = start();
    let mut stream = service.client.train_teacher(train(NEW)).await.unwrap().into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        messages.push(message);
    }
    let phase = |index: usize| messages[index].progress.as_ref().unwrap().phase();
    assert_eq!(phase(messages.len() - 1), raw::TrainingPhase::Finished);
    assert!(matches!(phase(0), raw::TrainingPhase::Queued | raw::TrainingPhase::Training));
    let steps: Vec<u64> = messages.iter().map(|message| message.progress.as_ref().unwrap().step).collect();
    assert!(steps.is_sorted() && steps.last() == Some(&10), "{steps:?}");
    let trained = messages.last().unwrap().trained.as_ref().unwrap();
    assert_eq!((trained.digest.len(), trained.engine.as_str()), (64, "linear f64"));
    assert!(messages[..messages.len() - 1].iter().all(|message| message.trained.is_none()));
    let request = ClassifyImagesRequest { teacher: NEW.into(), images: batch(vec![0; 4]) };
    assert_eq!(service.client.classify_images(request).await.unwrap().into_inner().logits, [0.5, 0.0]);
}

#[tokio::test]
async fn a_teacher_in_training_is_not_ready_and_dropping_the_call_ends_the_training() {
    let workshop = KnownWorkshop::new(known()).with_steps(1_000_000, Duration::from_millis(1));
    let mut service = start_with(workshop);
    let mut stream = service.client.train_teacher(train(NEW)).await.unwrap().into_inner();
    while stream.message().await.unwrap().unwrap().progress.unwrap().step == 0 {}
    let request = || ClassifyImagesRequest { teacher: NEW.into(), images: batch(vec![0; 4]) };
    let status = service.client.classify_images(request()).await.unwrap_err();
    check(&status, Code::Unavailable, "MODEL_NOT_READY");
    assert!(status.get_error_details().retry_info().is_some());
    drop(stream);
    // It ends within a step; until it has, the teacher is not ready, and not there afterwards.
    let status = loop {
        let status = service.client.classify_images(request()).await.unwrap_err();
        if status.code() != Code::Unavailable {
            break status;
        }
        tokio::task::yield_now().await;
    };
    check(&status, Code::NotFound, "TEACHER_NOT_FOUND");
}

#[tokio::test]
async fn an_evaluation_stores_every_answer_once() {
    let mut service = start();
    let dataset = ResourceName::parse("datasets/tiny", ResourceName::DATASET).unwrap();
    let pixels: Vec<u8> = (0..40).flat_map(|i| if i % 4 == 0 { [0, 255, 0, 0] } else { [255, 0, 0, 0] }).collect();
    let labels: Vec<u8> = (0..40).map(|i| u8::from(i % 2 == 0)).collect();
    let split = IdxSplit {
        id: "test".into(),
        images: idx::encode_images(&ImageBatch::new(SHAPE, pixels).unwrap()),
        labels: idx::encode_labels(&labels),
    };
    service.artifacts.import_idx(&dataset, "Tiny", vec!["left".into(), "right".into()], vec![split]).await.unwrap();
    let request =
        || EvaluateTeacherRequest { teacher: KNOWN.into(), dataset: "datasets/tiny".into(), split: "test".into() };
    let mut message_counts = Vec::new();
    for _ in 0..2 {
        let mut stream = service.client.evaluate_teacher(request()).await.unwrap().into_inner();
        let mut snapshots = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            snapshots.push(message.progress.unwrap());
        }
        let last = snapshots.last().unwrap();
        assert_eq!((last.phase(), last.step, last.step_count), (raw::TrainingPhase::Finished, 40, 40));
        // Right: every fourth image (label 1, ink on the right) and every odd one (label 0).
        assert!((last.accuracy - 0.75).abs() < 1e-12);
        message_counts.push(snapshots.len());
    }
    assert_eq!(message_counts, [4, 1], "three batches of 16 and the end; then only what is stored");
    let stored = service.artifacts.evaluation(&name(KNOWN), &dataset, "test").await.unwrap().unwrap();
    assert_eq!(stored.example_count(), 40);
    assert_eq!(stored.get(0), Some(&[0.5, 3.0][..]));
    assert_eq!(stored.engine, "linear f64");
    let missing = EvaluateTeacherRequest { split: "none".into(), ..request() };
    let status = service.client.evaluate_teacher(missing).await.unwrap_err();
    check(&status, Code::NotFound, "SPLIT_NOT_FOUND");
}
