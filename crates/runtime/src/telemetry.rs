//! Logs, traces and metrics of one process. Logs go to standard error; traces and metrics go to an
//! OTLP collector if one is named, and a collector that is down never stops or slows anything.

use std::{
    env,
    io::{self, IsTerminal},
    time::Duration,
};

use opentelemetry::{KeyValue, global, trace::TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator, trace::SdkTracerProvider,
};
use tokio::sync::oneshot;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

/// What the collector may take at the end before the process goes on without it.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Keeps the exporters; [`TelemetryGuard::shutdown`] sends what they still hold.
#[derive(Debug)]
#[must_use = "what was recorded last is lost unless the guard is shut down"]
pub struct TelemetryGuard {
    exporters: Option<Exporters>,
}

#[derive(Debug, Clone)]
struct Exporters {
    tracer: SdkTracerProvider,
    meter: SdkMeterProvider,
}

/// What the environment says about telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The collector, such as `http://localhost:4317`; `None` exports nothing.
    pub collector: Option<String>,
    /// Which log lines are written, such as `info,teacher=debug`.
    pub directives: String,
}

impl Settings {
    /// The collector from `OTEL_EXPORTER_OTLP_ENDPOINT`, the directives from `DEEPER_LOG` or
    /// `RUST_LOG`, else `info`.
    pub fn from_environment() -> Self {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let directives = variable("DEEPER_LOG").or_else(|| variable("RUST_LOG"));
        Self {
            collector: variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
            directives: directives.unwrap_or_else(|| "info".to_owned()),
        }
    }
}

/// Sets up logs, traces and metrics for this process as the environment says: human-readable on a
/// terminal, one JSON object a line otherwise. Must be called on a tokio runtime.
pub fn init(service_name: &'static str) -> TelemetryGuard {
    init_with(service_name, &Settings::from_environment())
}

/// As [`init`], with settings from elsewhere. A second call in a process changes nothing.
pub fn init_with(service_name: &'static str, settings: &Settings) -> TelemetryGuard {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let exporters =
        settings.collector.as_deref().map(|collector| Exporters::start(service_name, collector)).transpose();
    let traces = exporters.as_ref().ok().and_then(Option::as_ref).map(Exporters::layer);
    let filter = EnvFilter::try_new(&settings.directives);
    let wrong_filter = filter.as_ref().err().map(ToString::to_string);
    // The first subscriber of a process stays, as in tests that share one.
    let subscriber = tracing_subscriber::registry().with(filter.unwrap_or_else(|_| EnvFilter::new("info")));
    subscriber.with(log_layer()).with(traces).try_init().ok();
    if let Some(error) = wrong_filter {
        tracing::warn!(directives = settings.directives, error, "the log filter is wrong; using info");
    }
    if let Err(error) = &exporters {
        tracing::warn!(%error, "traces and metrics are not exported");
    }
    log_panics();
    TelemetryGuard { exporters: exporters.ok().flatten() }
}

/// Makes work that outlives its call part of the call's trace. `span` is made without a parent (`parent:
/// None`), because a parent stays open as long as its children do, and a call must end with its answer.
pub fn continue_trace(span: &Span) {
    // Fails where no tracer is set up, and then there is no trace.
    span.set_parent(Span::current().context()).ok();
}

fn log_layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>() -> Box<dyn Layer<S> + Send + Sync> {
    if io::stderr().is_terminal() {
        fmt::layer().with_writer(io::stderr).with_target(false).boxed()
    } else {
        fmt::layer().with_writer(io::stderr).json().flatten_event(true).with_span_list(false).boxed()
    }
}

/// A panic becomes a log line like every other, wherever it is caught.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let words = panic.payload_as_str().unwrap_or("without words");
        tracing::error!(panic.location = location, panic.message = words, "panic");
    }));
}

impl Exporters {
    fn start(service_name: &'static str, collector: &str) -> Result<Self, ExporterBuildError> {
        let resource = Resource::builder()
            .with_service_name(service_name)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let spans = SpanExporter::builder().with_tonic().with_endpoint(collector).build()?;
        let metrics = MetricExporter::builder().with_tonic().with_endpoint(collector).build()?;
        let tracer = SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build();
        let meter = SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(metrics).build();
        global::set_tracer_provider(tracer.clone());
        global::set_meter_provider(meter.clone());
        Ok(Self { tracer, meter })
    }

    fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> Box<dyn Layer<S> + Send + Sync> {
        // The exporter's own calls must not become spans that are exported in turn.
        let ours = filter_fn(|metadata| {
            !["h2", "hyper", "tonic", "tower", "opentelemetry"]
                .iter()
                .any(|library| metadata.target().starts_with(library))
        });
        tracing_opentelemetry::layer().with_tracer(self.tracer.tracer("deeper")).with_filter(ours).boxed()
    }
}

impl TelemetryGuard {
    /// Sends what the exporters still hold, for at most two seconds.
    pub async fn shutdown(self) {
        let Some(exporters) = self.exporters else { return };
        let (done, flushed) = oneshot::channel();
        // A thread of its own: these calls block, and the process must not wait for them in the end.
        let spawned = std::thread::Builder::new().name("telemetry flush".into()).spawn(move || {
            let traces = exporters.tracer.shutdown_with_timeout(FLUSH_LIMIT);
            let metrics = exporters.meter.shutdown();
            done.send(traces.and(metrics)).ok();
        });
        if spawned.is_err() {
            return;
        }
        match tokio::time::timeout(FLUSH_LIMIT, flushed).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::debug!(%error, "the last telemetry was not sent"),
            Ok(Err(_)) | Err(_) => tracing::debug!("the collector did not take the last telemetry in time"),
        }
    }
}
