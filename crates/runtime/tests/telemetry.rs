//! One trace through every hop and the durations of every call, as a collector receives them.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Poll},
};

use domain::Result;
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::any_value::Value,
    logs::v1::LogRecord,
    metrics::v1::metric::Data,
    trace::v1::{Span, span::SpanKind},
};
use runtime::{
    channel,
    engine::{Engine, EngineConfig, Worker},
    gate::Gate,
    server::{self, Server},
    status, telemetry,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, body::Body, codegen::Service, server::NamedService};
use tonic_prost::ProstCodec;
use tower::service_fn;
use tracing::Instrument;

const METHOD: &str = "google.longrunning.Operations/GetOperation";

#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    /// Name of each metric and the attributes of its points.
    metrics: Arc<Mutex<Vec<(String, String)>>>,
    /// What wrote each record, and the record.
    logs: Arc<Mutex<Vec<(String, LogRecord)>>>,
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        for scope in request.into_inner().resource_logs.into_iter().flat_map(|resource| resource.scope_logs) {
            let target = scope.scope.map(|scope| scope.name).unwrap_or_default();
            let mut logs = self.logs.lock().expect("no test panics in here");
            logs.extend(scope.log_records.into_iter().map(|record| (target.clone(), record)));
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.spans.lock().expect("no test panics in here").extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let Some(Data::Histogram(histogram)) = metric.data else { continue };
            for point in histogram.data_points {
                let mut metrics = self.metrics.lock().expect("no test panics in here");
                metrics.push((metric.name.clone(), format!("{:?}", point.attributes)));
            }
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// Stands in for a service whose method names are known: asks its engine.
#[derive(Clone)]
struct Operations(Engine<String, String>);

impl NamedService for Operations {
    const NAME: &'static str = "google.longrunning.Operations";
}

impl Service<http::Request<Body>> for Operations {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let engine = self.0.clone();
        let answer = service_fn(move |request: Request<String>| {
            let engine = engine.clone();
            async move {
                let done = engine.submit(request.into_inner()).await.map_err(status::from_error)?;
                Ok::<_, Status>(Response::new(done.answer))
            }
        });
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
            Ok(grpc.unary(answer, request).await)
        })
    }
}

struct Echo;

impl Worker for Echo {
    type Job = String;
    type Answer = String;

    fn cost(&self, _: &String) -> usize {
        1
    }

    fn run(&mut self, jobs: Vec<String>) -> Vec<Result<String>> {
        tracing::info!(job_count = jobs.len(), "echoing");
        jobs.into_iter().map(Ok).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_is_one_trace_down_to_the_engine_and_every_call_is_measured() {
    let collector = Collector::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = telemetry::Settings {
        collector: Some(format!("http://{}", listener.local_addr().unwrap())),
        // Also what carries the telemetry speaks, and must not be carried in turn.
        directives: "info,hyper_util=debug,opentelemetry_sdk=debug".to_owned(),
    };
    let receiving = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .add_service(MetricsServiceServer::new(collector.clone()))
        .add_service(LogsServiceServer::new(collector.clone()))
        .serve_with_incoming(server::tcp(listener));
    tokio::spawn(receiving);
    let guard = telemetry::init_with("test", &settings);

    let engine = Engine::start(EngineConfig::new("echo", 1), Gate::new(), || Ok(Echo)).await.unwrap();
    let (channel, incoming) = channel::in_process("operations");
    let server = Server::new("operations", proto::raw::DESCRIPTORS).add(Operations(engine));
    let serving = tokio::spawn(server.serve(incoming, CancellationToken::new()));
    let call = async {
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/google.longrunning.Operations/GetOperation");
        let codec = ProstCodec::<String, String>::default();
        grpc.unary(Request::new("operations/1".to_owned()), path, codec).await.unwrap()
    };
    call.instrument(tracing::info_span!("click")).await;
    serving.await.unwrap().unwrap();
    guard.shutdown().await;

    let spans = collector.spans.lock().unwrap().clone();
    let find = |name: &str, kind: SpanKind| {
        let found = spans.iter().find(|span| span.name == name && span.kind() == kind);
        found.unwrap_or_else(|| panic!("no {kind:?} span {name} among {spans:#?}"))
    };
    let click = find("click", SpanKind::Internal);
    let client = find(METHOD, SpanKind::Client);
    let served = find(METHOD, SpanKind::Server);
    let run = find("engine.run", SpanKind::Internal);
    for (child, parent) in [(client, click), (served, client), (run, served)] {
        assert_eq!(child.parent_span_id, parent.span_id, "{} below {}", child.name, parent.name);
        assert_eq!(child.trace_id, click.trace_id);
    }

    let logs = collector.logs.lock().unwrap().clone();
    let [(target, echoing)] = &logs[..] else { panic!("one line is ours: {logs:#?}") };
    assert_eq!(target, "telemetry");
    assert_eq!((&echoing.trace_id, &echoing.span_id), (&run.trace_id, &run.span_id));
    let body = echoing.body.as_ref().and_then(|body| body.value.clone());
    assert_eq!(body, Some(Value::StringValue("echoing".to_owned())));
    assert_eq!(echoing.attributes.iter().map(|attribute| attribute.key.as_str()).collect::<Vec<_>>(), ["job_count"]);

    let metrics = collector.metrics.lock().unwrap().clone();
    for name in ["rpc.client.call.duration", "rpc.server.call.duration"] {
        let told = metrics
            .iter()
            .any(|(metric, attributes)| metric == name && attributes.contains(METHOD) && attributes.contains("\"OK\""));
        assert!(told, "{name} is not among {metrics:?}");
    }
    for name in [
        "deeper.engine.queue.duration",
        "deeper.engine.gate.duration",
        "deeper.engine.compute.duration",
        "deeper.engine.batch.cost",
    ] {
        assert!(metrics.iter().any(|(metric, _)| metric == name), "{name} is not among {metrics:?}");
    }
}
