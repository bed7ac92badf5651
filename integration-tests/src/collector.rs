//! An OpenTelemetry collector of a test's own: keeps what services send it over OTLP, by the service that
//! sent it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::{Metric, metric::Data},
    resource::v1::Resource,
    trace::v1::Span,
};
use runtime::server::tcp;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, transport::Server};

/// What came, in order. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Collected(Arc<Mutex<Everything>>);

/// What came.
#[derive(Debug, Default)]
pub struct Everything {
    /// With the service's name.
    pub spans: Vec<(String, Span)>,
    /// As last sent, and as before.
    pub metrics: Vec<Measured>,
    /// With the service's name and what wrote it, `orchestrator::explanations`.
    pub logs: Vec<(String, String, LogRecord)>,
}

/// A metric as one service sent it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measured {
    /// `deeper.engine.refused`.
    pub name: String,
    /// `counter`, `up-down counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// In UCUM.
    pub unit: String,
    /// Keys of all its points.
    pub attributes: BTreeSet<String>,
}

/// A collector that listens. Dropping it ends it.
pub struct Collector {
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub url: String,
    /// What has come.
    pub collected: Collected,
    _serving: AbortOnDropHandle<()>,
}

impl Collector {
    /// On a port of its own.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let collected = Collected::default();
        let serving = Server::builder()
            .add_service(TraceServiceServer::new(collected.clone()))
            .add_service(MetricsServiceServer::new(collected.clone()))
            .add_service(LogsServiceServer::new(collected.clone()))
            .serve_with_incoming(tcp(listener));
        let serving = tokio::spawn(async move { serving.await.expect("a collector serves until it is dropped") });
        Self { url, collected, _serving: AbortOnDropHandle::new(serving) }
    }
}

impl Collected {
    /// All of it, for as long as it is held.
    pub fn look(&self) -> MutexGuard<'_, Everything> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of an attribute.
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn service(resource: Option<&Resource>) -> String {
    resource.and_then(|resource| text(&resource.attributes, "service.name")).unwrap_or_default().to_owned()
}

#[tonic::async_trait]
impl TraceService for Collected {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let service = service(resource.resource.as_ref());
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.look().spans.extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collected {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        for resource in request.into_inner().resource_metrics {
            let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.look().metrics.extend(metrics.filter_map(measured));
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collected {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        for resource in request.into_inner().resource_logs {
            let service = service(resource.resource.as_ref());
            for scope in resource.scope_logs {
                let target = scope.scope.map(|scope| scope.name).unwrap_or_default();
                let records = scope.log_records.into_iter();
                self.look().logs.extend(records.map(|record| (service.clone(), target.clone(), record)));
            }
        }
        Ok(Response::new(Default::default()))
    }
}

fn measured(metric: Metric) -> Option<Measured> {
    let (kind, points): (_, Vec<Vec<KeyValue>>) = match metric.data? {
        Data::Gauge(gauge) => ("gauge", gauge.data_points.into_iter().map(|point| point.attributes).collect()),
        Data::Sum(sum) => {
            let kind = if sum.is_monotonic { "counter" } else { "up-down counter" };
            (kind, sum.data_points.into_iter().map(|point| point.attributes).collect())
        }
        Data::Histogram(histogram) => {
            ("histogram", histogram.data_points.into_iter().map(|point| point.attributes).collect())
        }
        _ => return None,
    };
    let attributes = points.into_iter().flatten().map(|attribute| attribute.key).collect();
    Some(Measured { name: metric.name, kind, unit: metric.unit, attributes })
}
