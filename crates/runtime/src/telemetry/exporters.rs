//! What sends traces, metrics and logs to the collector, each from a bounded queue and a thread of its own: 2,048
//! spans and 2,048 log records wait at most, more are dropped; a metric has at most 2,000 series.

use std::{thread, time::Duration};

use futures::future::join_all;
use opentelemetry::{KeyValue, global, trace::TracerProvider};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource, error::OTelSdkResult, logs::SdkLoggerProvider, metrics::SdkMeterProvider, trace::SdkTracerProvider,
};
use tokio::{sync::oneshot, time::timeout};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use super::watched::Watched;

/// What the collector may take at the end before the process goes on without it.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Libraries through which telemetry leaves: what they say of their own calls is not exported in turn.
const CARRIERS: [&str; 5] = ["h2", "hyper", "tonic", "tower", "opentelemetry"];

#[derive(Debug, Clone)]
pub(super) struct Exporters {
    tracer: SdkTracerProvider,
    meter: SdkMeterProvider,
    logger: SdkLoggerProvider,
}

impl Exporters {
    pub(super) fn start(service_name: &'static str, collector: &str) -> Result<Self, ExporterBuildError> {
        let resource = Resource::builder()
            .with_service_name(service_name)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let spans = SpanExporter::builder().with_tonic().with_endpoint(collector).build()?;
        let metrics = MetricExporter::builder().with_tonic().with_endpoint(collector).build()?;
        let logs = LogExporter::builder().with_tonic().with_endpoint(collector).build()?;
        let tracer = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(Watched::new("traces", spans))
            .build();
        let meter = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_periodic_exporter(Watched::new("metrics", metrics))
            .build();
        let logger = SdkLoggerProvider::builder()
            .with_resource(resource)
            .with_batch_exporter(Watched::new("logs", logs))
            .build();
        global::set_tracer_provider(tracer.clone());
        global::set_meter_provider(meter.clone());
        Ok(Self { tracer, meter, logger })
    }

    pub(super) fn traces<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.tracer.tracer("deeper"));
        layer.with_filter(filter_fn(is_ours)).boxed()
    }

    /// Each record has the ids of the span it was written in.
    pub(super) fn logs<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        OpenTelemetryTracingBridge::new(&self.logger).with_filter(filter_fn(is_ours)).boxed()
    }

    /// Sends what is still held, all three at once, for at most [`FLUSH_LIMIT`].
    pub(super) async fn shutdown(self) {
        let Self { tracer, meter, logger } = self;
        let flushes = [
            on_thread(move || tracer.shutdown_with_timeout(FLUSH_LIMIT)),
            on_thread(move || meter.shutdown_with_timeout(FLUSH_LIMIT)),
            on_thread(move || logger.shutdown_with_timeout(FLUSH_LIMIT)),
        ];
        let Ok(outcomes) = timeout(FLUSH_LIMIT, join_all(flushes)).await else {
            return tracing::debug!("the collector did not take the last telemetry in time");
        };
        for error in outcomes.into_iter().filter_map(|outcome| outcome.ok()?.err()) {
            tracing::debug!(%error, "the last telemetry was not sent");
        }
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    !CARRIERS.iter().any(|library| metadata.target().starts_with(library))
}

/// A thread of its own: these calls block, and the process must not wait for them in the end. A thread that
/// cannot be started answers by the loss of its sender.
fn on_thread(flush: impl FnOnce() -> OTelSdkResult + Send + 'static) -> oneshot::Receiver<OTelSdkResult> {
    let (done, flushed) = oneshot::channel();
    thread::Builder::new().name("telemetry flush".into()).spawn(move || done.send(flush()).ok()).ok();
    flushed
}
