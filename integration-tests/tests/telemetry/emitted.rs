//! A whole system with its faults, seen by a collector: it sends every metric that is listed, with unit, kind and
//! attributes, and nothing else; and one trace leads from the click through all services.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use domain::{ImageBatch, Progress, TrainingPhase};
use futures::future::join_all;
use integration_tests::{
    Api, Sandbox,
    api::explain_image,
    collector::{Collector, Everything},
    known::random_image,
    listed::{Listed, Metric},
    programs::free_address,
    redis::Redis,
    web::{WebAnswer, call, call_with_headers},
};
use opentelemetry_proto::tonic::trace::v1::Span;
use orchestrator::store::{Limits, RedisStore, StoreConfig};
use proto::raw::{
    deeper::teacher::v1::{ClassifyImagesRequest, teacher_service_client::TeacherServiceClient},
    google::longrunning::Operation,
};
use runtime::{
    channel,
    engine::{Engine, EngineConfig, Worker},
    gate::Gate,
    long::TrainingQueue,
    telemetry,
};
use tokio_util::sync::CancellationToken;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLICK: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_and_its_faults_emit_what_is_listed_and_nothing_else() {
    let collector = Collector::start().await;
    let settings = telemetry::Settings { collector: Some(collector.url.clone()), directives: "info".to_owned() };
    let guard = telemetry::init_with("test", &settings);

    let sandbox = Sandbox::linear().await;
    click(&sandbox).await;
    a_stranger_calls(&sandbox).await;
    a_cache_goes(&sandbox).await;
    sandbox.shut_down().await;
    a_queue_is_full_and_a_replica_gone().await;
    let training = a_training_goes_on().await;
    guard.shutdown().await;
    training.cancel();

    let everything = collector.collected.look();
    metrics_are_listed(&everything);
    spans_and_logs_are_listed(&everything);
    one_trace_leads_through_all_services(&everything);
}

/// As a page does it: grpc-web, with the span of the click.
async fn click(sandbox: &Sandbox) {
    let path = "/deeper.explanation.v1.ExplanationService/CreateExplanation";
    let traceparent = ("traceparent", format!("00-{TRACE}-{CLICK}-01"));
    let request = explain_image("x", &random_image(1));
    let answer: WebAnswer<Operation> =
        call_with_headers(sandbox.address, path, &request, &[traceparent]).await.unwrap();
    let ended = sandbox.api.finished(answer.messages[0].clone()).await.unwrap();
    assert!(ended.done);
}

/// A method that nobody has: its name becomes no series.
async fn a_stranger_calls(sandbox: &Sandbox) {
    let path = "/deeper.catalog.v1.CatalogService/MadeUp";
    let answer: WebAnswer<Operation> = call(sandbox.address, path, &Operation::default()).await.unwrap();
    assert_eq!(answer.trailer("grpc-status"), Some("12"), "UNIMPLEMENTED");
}

/// A replica whose Redis is killed between two explanations.
async fn a_cache_goes(sandbox: &Sandbox) {
    let mut redis = Redis::start().await;
    let config = StoreConfig { cache_url: Some(redis.url()), ..Default::default() };
    let store = RedisStore::connect(&config, Limits::default()).await.unwrap();
    let api = sandbox.replica(Arc::new(store)).await;
    explain(&api, "with", 2).await;
    redis.kill().await;
    explain(&api, "without", 3).await;
}

async fn explain(api: &Api, id: &str, image: u64) {
    let explanation = api.explain(explain_image(id, &random_image(image))).await.unwrap();
    assert!(explanation.error.is_none(), "{:?}", explanation.error);
}

/// More jobs than a queue of one takes, and a service that is not there.
async fn a_queue_is_full_and_a_replica_gone() {
    let config = EngineConfig { queue_capacity: 1, ..EngineConfig::new("slow", 1) };
    let engine = Engine::start(config, Gate::new(), || Ok(Slow)).await.unwrap();
    let answers = join_all((0..8).map(|_| engine.submit(()))).await;
    assert!(answers.iter().any(Result::is_err), "eight jobs found a place in a queue of one");

    let gone = channel::connect("teacher", &format!("http://{}", free_address())).unwrap();
    let image = random_image(0);
    let images = ImageBatch::from_images(image.shape(), [&image]).unwrap();
    let request = ClassifyImagesRequest { teacher: "teachers/known".into(), images: Some((&images).into()) };
    TeacherServiceClient::new(gone).classify_images(request).await.unwrap_err();
}

struct Slow;

impl Worker for Slow {
    type Job = ();
    type Answer = ();

    fn cost(&self, (): &()) -> usize {
        1
    }

    fn run(&mut self, jobs: Vec<()>) -> Vec<domain::Result<()>> {
        std::thread::sleep(Duration::from_millis(20));
        jobs.into_iter().map(Ok).collect()
    }
}

/// One that has reported and does not end by itself.
async fn a_training_goes_on() -> CancellationToken {
    let progress = Progress {
        phase: TrainingPhase::Training,
        epoch: 1,
        epoch_count: 2,
        step: 3,
        step_count: 4,
        loss: 0.5,
        accuracy: 0.5,
        images_per_second: 6.0,
        remaining_seconds: 7.0,
        loss_curve: Vec::new(),
    };
    let stop = CancellationToken::new();
    let queued = Progress { step: 0, ..progress.clone() };
    let queue = TrainingQueue::new(Gate::new());
    let mut training = queue
        .start("endless", stop.clone(), queued, move |context| -> domain::Result<()> {
            context.report(progress.clone());
            loop {
                context.check()?;
                context.step(|| std::thread::sleep(Duration::from_millis(1)));
            }
        })
        .unwrap();
    training.progress.wait_for(|progress| progress.step == 3).await.unwrap();
    stop
}

fn metrics_are_listed(everything: &Everything) {
    let listed = Listed::read();
    // A service sends the attributes that it has met: what all of them met is what is listed.
    let mut sent: BTreeMap<String, Metric> = BTreeMap::new();
    for measured in &everything.metrics {
        let known = sent.entry(measured.name.clone()).or_insert_with(|| Metric {
            kind: measured.kind.to_owned(),
            unit: measured.unit.clone(),
            attributes: BTreeSet::new(),
        });
        assert_eq!((known.kind.as_str(), &known.unit), (measured.kind, &measured.unit), "{}", measured.name);
        known.attributes.extend(measured.attributes.iter().cloned());
    }
    for name in sent.keys().chain(listed.metrics.keys()) {
        assert_eq!(sent.get(name), listed.metrics.get(name), "{name}, as sent and as listed");
    }
}

fn spans_and_logs_are_listed(everything: &Everything) {
    let listed = Listed::read();
    let mut seen = BTreeSet::new();
    assert!(everything.spans.iter().all(|(_, span)| !span.name.contains("MadeUp")));
    for (_, span) in &everything.spans {
        let is_call = span.name.contains('/') || span.name == "_OTHER";
        let name = if is_call { "rpc" } else { &span.name };
        let fields = listed.spans.get(name).unwrap_or_else(|| panic!("the span {name} is not listed"));
        seen.insert(name.to_owned());
        for attribute in &span.attributes {
            let is_known = fields.contains(&attribute.key) || listed.every_span.contains(&attribute.key);
            assert!(is_known, "{} of the span {name} is not listed", attribute.key);
        }
    }
    let all: BTreeSet<String> = listed.spans.keys().cloned().collect();
    assert_eq!(seen, all, "spans as sent and as listed");
    assert!(!everything.logs.is_empty());
    for (_, target, record) in &everything.logs {
        for attribute in &record.attributes {
            assert!(listed.log_fields.contains(&attribute.key), "{} of {target} is not listed", attribute.key);
        }
    }
}

fn one_trace_leads_through_all_services(everything: &Everything) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let spans: Vec<&Span> =
        everything.spans.iter().map(|(_, span)| span).filter(|span| hex(&span.trace_id) == TRACE).collect();
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    for hop in [
        "deeper.explanation.v1.ExplanationService/CreateExplanation",
        "explanation",
        "explain",
        "deeper.vae.v1.VaeService/EncodeImages",
        "deeper.vae.v1.VaeService/GenerateNeighbors",
        "deeper.teacher.v1.TeacherService/ClassifyImages",
        "engine.run",
        "deeper.student.v1.StudentService/DistillStudent",
        "distillation.fit",
    ] {
        assert!(names.contains(hop), "{hop} is not in {names:?}");
    }
    // Each span hangs on another one of the trace, the first on the click.
    let ids: HashSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
    let roots: Vec<_> =
        spans.iter().filter(|span| hex(&span.parent_span_id) == CLICK).map(|span| span.name.as_str()).collect();
    assert_eq!(roots, ["deeper.explanation.v1.ExplanationService/CreateExplanation"]);
    let lost: Vec<_> = spans
        .iter()
        .filter(|span| hex(&span.parent_span_id) != CLICK && !ids.contains(span.parent_span_id.as_slice()))
        .map(|span| &span.name)
        .collect();
    assert!(lost.is_empty(), "{lost:?} hang on nothing");
}
