//! One trace from the browser's click through every hop: spans of all four services share the id that came
//! with the request.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex},
};

use integration_tests::{
    Sandbox,
    api::explain_image,
    known::random_image,
    web::{WebAnswer, call_with_headers},
};
use opentelemetry::{
    global,
    trace::{SpanId, TraceId, TracerProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use proto::raw::google::longrunning::Operation;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLICK: &str = "00f067aa0ba902b7";

/// Keeps finished spans in memory.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Kept {
    fn of_trace(&self, trace: TraceId) -> Vec<SpanData> {
        let spans = self.0.lock().unwrap();
        spans.iter().filter(|span| span.span_context.trace_id() == trace).cloned().collect()
    }
}

#[tokio::test]
async fn one_trace_leads_from_the_click_through_all_services() {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing_subscriber::registry().with(tracing_subscriber::EnvFilter::new("info")).with(layer).init();

    let sandbox = Sandbox::linear().await;
    let path = "/deeper.explanation.v1.ExplanationService/CreateExplanation";
    let traceparent = ("traceparent", format!("00-{TRACE}-{CLICK}-01"));
    let request = explain_image("x", &random_image(1));
    let answer: WebAnswer<Operation> =
        call_with_headers(sandbox.address, path, &request, &[traceparent]).await.unwrap();
    let ended = sandbox.api.finished(answer.messages[0].clone()).await.unwrap();
    assert!(ended.done);
    // All services have closed their calls when they have ended.
    sandbox.shut_down().await;
    provider.force_flush().ok();

    let spans = kept.of_trace(TraceId::from_hex(TRACE).unwrap());
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    for hop in [
        "deeper.explanation.v1.ExplanationService/CreateExplanation",
        "explain",
        "deeper.vae.v1.VaeService/EncodeImages",
        "deeper.vae.v1.VaeService/GenerateNeighbors",
        "deeper.teacher.v1.TeacherService/ClassifyImages",
        "engine.run",
        "deeper.student.v1.StudentService/DistillStudent",
    ] {
        assert!(names.contains(hop), "{hop} is not in {names:?}");
    }
    // Each span hangs on another one of the trace, the first on the click.
    let ids: HashSet<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
    let click = SpanId::from_hex(CLICK).unwrap();
    let roots: Vec<_> = spans.iter().filter(|span| span.parent_span_id == click).map(|span| &span.name).collect();
    assert_eq!(roots, ["deeper.explanation.v1.ExplanationService/CreateExplanation"]);
    let lost: Vec<_> = spans
        .iter()
        .filter(|span| span.parent_span_id != click && !ids.contains(&span.parent_span_id))
        .map(|span| &span.name)
        .collect();
    assert!(lost.is_empty(), "{lost:?} hang on nothing");
}
