//! The face over an in-process pipe: what comes out, codes and details of what is refused, limits, and that
//! a caller who leaves stops the fitting.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::time::Duration;

use domain::{Error, ResourceName, Student};
use futures::{StreamExt, stream};
use proto::{
    raw::deeper::{
        student::v1::{
            self as raw, DistillStudentRequest, distill_student_request::Step, distill_student_response::Answer,
            student_service_client::StudentServiceClient,
        },
        types::v1 as types,
    },
    status::to_error,
    students::student,
};
use runtime::{
    call::{Caller, Context},
    channel::{self, Channel},
    gate::{Gate, Priority},
};
use student::MAX_OPEN_DISTILLATIONS;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

const SIDE: u32 = 6;
const PIXELS: usize = 36;

/// The service in this process and the gate that its fits pass.
fn world() -> (StudentServiceClient<Channel>, Gate) {
    let (channel, incoming) = channel::in_process("student");
    let gate = Gate::new();
    tokio::spawn(student::serve(gate.clone(), incoming, CancellationToken::new()));
    (StudentServiceClient::new(channel), gate)
}

/// Bytes without a pattern, the same for the same position.
fn noise(position: usize) -> u8 {
    let mixed = (position as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8
}

fn config(neighbor_count: u32) -> raw::DistillationConfig {
    let pixels = (0..PIXELS).map(noise).collect();
    raw::DistillationConfig {
        spec: None,
        instance: Some(types::Image { channels: 1, height: SIDE, width: SIDE, pixels }),
        instance_logits: Some(types::Logits { values: vec![0.5, 2.0, -1.0] }),
        contrast_label: Some(0),
        neighbor_count,
    }
}

/// Neighbors `start..end` and the answers of a teacher that looks at three pixels.
fn chunk(start: usize, end: usize, fit: bool) -> raw::LabeledChunk {
    let pixels: Vec<u8> = (start * PIXELS..end * PIXELS).map(|position| noise(position + 1_000)).collect();
    let logits = pixels.chunks_exact(PIXELS).flat_map(|x| [0, 9, 20].map(|i| f32::from(x[i]) / 64.0)).collect();
    let images = types::ImageBatch { channels: 1, height: SIDE, width: SIDE, pixels };
    raw::LabeledChunk { images: Some(images), logits, fit }
}

fn request(step: Step) -> DistillStudentRequest {
    DistillStudentRequest { step: Some(step) }
}

fn steps(config: raw::DistillationConfig, chunks: Vec<raw::LabeledChunk>) -> Vec<DistillStudentRequest> {
    let chunks = chunks.into_iter().map(|chunk| request(Step::Chunk(chunk)));
    std::iter::once(request(Step::Config(config))).chain(chunks).collect()
}

async fn distill(requests: Vec<DistillStudentRequest>) -> Result<Vec<Answer>, Status> {
    let mut answers = world().0.distill_student(stream::iter(requests)).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer.answer.unwrap());
    }
    Ok(all)
}

async fn students(requests: Vec<DistillStudentRequest>) -> Vec<Student> {
    let name = ResourceName::new(ResourceName::STUDENT, &["x", "s"]).unwrap();
    let answers = distill(requests).await.unwrap().into_iter();
    let fitted = answers.filter_map(|answer| match answer {
        Answer::Student(fitted) => Some(student(name.clone(), fitted).unwrap()),
        Answer::Progress(_) => None,
    });
    fitted.collect()
}

#[tokio::test]
async fn students_come_after_the_chunks_that_ask_and_after_the_last() {
    let chunks = vec![chunk(0, 40, true), chunk(40, 70, false), chunk(70, 100, true), chunk(100, 150, false)];
    let counts: Vec<usize> = students(steps(config(150), chunks)).await.iter().map(|s| s.neighbor_count).collect();
    assert_eq!(counts, [40, 100, 150]);
}

#[tokio::test]
async fn the_same_neighbors_in_other_chunks_give_the_same_student() {
    let whole = students(steps(config(120), vec![chunk(0, 120, false)])).await;
    let pieces = vec![chunk(0, 50, true), chunk(50, 51, false), chunk(51, 120, true)];
    let pieces = students(steps(config(120), pieces)).await;
    assert_eq!(whole.last(), pieces.last());
    let last = whole.last().unwrap();
    assert!(last.fidelity.top1_agreement > last.fidelity.majority_baseline + 0.2, "{:?}", last.fidelity);
    assert_eq!((last.predicted_label.0, last.contrast_label.0), (1, 0));
}

#[tokio::test]
async fn iterative_solvers_tell_how_far_they_are() {
    let lbfgs = types::LbfgsSolver { iteration_count: Some(5), tolerance: Some(0.0) };
    let solver = Some(types::student_spec::Solver::Lbfgs(lbfgs));
    let spec = Some(types::StudentSpec { solver, ..Default::default() });
    let config = raw::DistillationConfig { spec, ..config(64) };
    let answers = distill(steps(config, vec![chunk(0, 64, false)])).await.unwrap();
    let progress = answers.iter().filter_map(|answer| match answer {
        Answer::Progress(progress) => Some(progress),
        Answer::Student(_) => None,
    });
    let progress: Vec<_> = progress.collect();
    assert!(!progress.is_empty());
    assert!(progress.iter().all(|p| p.neighbor_count == 64 && p.iteration <= 25 && p.iteration_count == 25));
    assert!(progress.iter().all(|p| p.loss > 0.0));
}

async fn refused(requests: Vec<DistillStudentRequest>) -> (Code, Error) {
    let status = distill(requests).await.unwrap_err();
    (status.code(), to_error(&status))
}

/// The fields that an `INVALID_ARGUMENT` names.
async fn fields(requests: Vec<DistillStudentRequest>) -> Vec<String> {
    match refused(requests).await {
        (Code::InvalidArgument, Error::InvalidFields(violations)) => {
            violations.iter().map(|violation| violation.field.clone()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_configuration_is_named_at_once() {
    assert_eq!(
        fields(steps(raw::DistillationConfig::default(), vec![])).await,
        ["config.instance", "config.instance_logits"]
    );
    let wrong = raw::DistillationConfig {
        spec: Some(types::StudentSpec { temperature: Some(0.0), l2: Some(f64::NAN), ..Default::default() }),
        instance_logits: Some(types::Logits { values: vec![f32::NAN, 0.0] }),
        ..config(100)
    };
    let named = fields(steps(wrong, vec![])).await;
    assert_eq!(named, ["config.spec.temperature", "config.spec.l2", "config.instance_logits.logits"]);
    let wrong = raw::DistillationConfig { contrast_label: Some(3), ..config(31) };
    assert_eq!(fields(steps(wrong, vec![])).await, ["config.contrast_label", "config.neighbor_count"]);
}

#[tokio::test]
async fn steps_out_of_order_are_refused() {
    assert_eq!(fields(vec![]).await, ["config"]);
    assert_eq!(fields(vec![request(Step::Chunk(chunk(0, 64, false)))]).await, ["config"]);
    assert_eq!(fields(vec![DistillStudentRequest { step: None }]).await, ["step"]);
    assert_eq!(fields(vec![request(Step::Config(config(64))); 2]).await, ["chunk"]);
    assert_eq!(fields(steps(config(100), vec![chunk(0, 64, false)])).await, ["chunk"]);
}

#[tokio::test]
async fn wrong_chunks_are_refused() {
    let good = chunk(0, 64, false);
    let check = async |chunk: raw::LabeledChunk, field: &str| {
        assert_eq!(fields(steps(config(64), vec![chunk])).await, [field]);
    };
    check(raw::LabeledChunk { images: None, ..good.clone() }, "chunk.images").await;
    check(chunk(0, 0, true), "chunk.images").await;
    check(chunk(0, 65, false), "chunk.images").await;
    check(raw::LabeledChunk { logits: vec![0.0; 191], ..good.clone() }, "chunk.logits").await;
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut logits = good.logits.clone();
        logits[100] = value;
        check(raw::LabeledChunk { logits, ..good.clone() }, "chunk.logits").await;
    }
    let large = types::ImageBatch { channels: 1, height: 1_024, width: 1_025, pixels: vec![0; 1_024 * 1_025] };
    check(raw::LabeledChunk { images: Some(large), ..good.clone() }, "chunk.images.pixels").await;
    let oversized = raw::LabeledChunk { logits: vec![0.0; 2 << 20], ..good };
    let (code, error) = refused(steps(config(64), vec![oversized])).await;
    assert!(matches!((code, error), (Code::ResourceExhausted, Error::MessageTooLarge { limit_bytes: 4_194_304 })));
}

#[tokio::test]
async fn another_shape_and_identical_neighbors_have_their_own_errors() {
    let turned = types::ImageBatch { channels: 1, height: 4, width: 9, pixels: vec![0; 64 * PIXELS] };
    let turned = raw::LabeledChunk { images: Some(turned), ..chunk(0, 64, false) };
    let (code, error) = refused(steps(config(64), vec![turned])).await;
    assert!(matches!((code, error), (Code::InvalidArgument, Error::ImageShapeMismatch { .. })));
    let mut same = chunk(0, 64, false);
    same.images.as_mut().unwrap().pixels.fill(7);
    let (code, error) = refused(steps(config(64), vec![same])).await;
    assert!(matches!((code, error), (Code::FailedPrecondition, Error::NeighborhoodDegenerate { .. })));
}

#[tokio::test]
async fn a_divergence_has_its_own_error() {
    let adam = types::AdamSolver { epoch_count: Some(2), batch_size: Some(4), learning_rate: Some(1.0), seed: None };
    let solver = Some(types::student_spec::Solver::Adam(adam));
    let spec = Some(types::StudentSpec { solver, temperature: Some(0.05), ..Default::default() });
    let config = raw::DistillationConfig { spec, ..config(64) };
    let (code, error) = refused(steps(config, vec![chunk(0, 64, false)])).await;
    assert!(matches!((code, error), (Code::FailedPrecondition, Error::DistillationDiverged { .. })));
}

/// Minutes of epochs: 500 over 10,000 neighbors, for each of five fits.
fn endless() -> Vec<DistillStudentRequest> {
    let adam = types::AdamSolver { epoch_count: Some(500), batch_size: Some(1), ..Default::default() };
    let solver = Some(types::student_spec::Solver::Adam(adam));
    let spec = Some(types::StudentSpec { solver, ..Default::default() });
    let chunks = (0..10).map(|i| chunk(i * 1_000, (i + 1) * 1_000, false)).collect();
    steps(raw::DistillationConfig { spec, ..config(10_000) }, chunks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_fit_lets_others_compute_and_stops_when_its_caller_leaves() {
    let (mut client, gate) = world();
    let mut answers = client.distill_student(stream::iter(endless())).await.unwrap().into_inner();
    assert!(matches!(answers.message().await.unwrap().unwrap().answer, Some(Answer::Progress(_))));
    let (others, waiting) = (gate.clone(), Duration::from_secs(20));
    let let_in = tokio::task::spawn_blocking(move || others.enter_within(Priority::Interactive, waiting).is_some());
    assert!(let_in.await.unwrap(), "a fit keeps the gate for minutes");
    drop(answers);
    // The fit would pass before anything of a training until its end, minutes from now.
    let behind = tokio::task::spawn_blocking(move || gate.enter_within(Priority::Training, waiting).is_some());
    assert!(behind.await.unwrap(), "the fit goes on without its caller");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_fit() {
    let (mut client, _) = world();
    let mut request = Request::new(stream::iter(endless()));
    request.set_timeout(Duration::from_millis(1_500));
    let mut answers = client.distill_student(request).await.unwrap().into_inner();
    let status = loop {
        match answers.message().await {
            Ok(answer) => assert!(matches!(answer.unwrap().answer, Some(Answer::Progress(_)))),
            Err(status) => break status,
        }
    };
    assert_eq!(to_error(&status), Error::DeadlineExceeded);
}

#[tokio::test]
async fn more_open_calls_than_allowed_are_told_to_come_back() {
    let (client, _) = world();
    let mut open = Vec::new();
    // Of four places a caller takes three; the last are for others.
    for _ in 0..MAX_OPEN_DISTILLATIONS * 3 / 4 {
        let (sender, requests) = mpsc::channel(1);
        let answers = client.clone().distill_student(ReceiverStream::new(requests)).await.unwrap();
        open.push((sender, answers.into_inner()));
    }
    let other = Context { caller: Caller::new("modest").unwrap(), ..Context::default() };
    other.scope(client.clone().distill_student(stream::pending())).await.unwrap();
    let status = client.clone().distill_student(stream::pending()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(matches!(to_error(&status), Error::QueueFull { .. }));
    // One leaves, and its place is free once the server has noticed.
    let (sender, mut answers) = open.pop().unwrap();
    drop(sender);
    assert!(answers.next().await.unwrap().is_err());
    assert!(answers.next().await.is_none());
    let mut accepted = client.clone().distill_student(stream::iter(steps(config(64), vec![chunk(0, 64, true)]))).await;
    while accepted.is_err() {
        tokio::task::yield_now().await;
        accepted = client.clone().distill_student(stream::iter(steps(config(64), vec![chunk(0, 64, true)]))).await;
    }
}
