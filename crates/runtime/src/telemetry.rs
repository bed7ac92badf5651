//! Logs, traces and metrics of one process. Logs go to standard error; all three go to an OTLP collector if
//! one is named, and a collector that is down never stops or slows anything.

mod exporters;
mod watched;

use std::{
    env,
    io::{self, IsTerminal},
};

use opentelemetry::global;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

use self::exporters::Exporters;

/// Keeps the exporters; [`TelemetryGuard::shutdown`] sends what they still hold.
#[derive(Debug)]
#[must_use = "what was recorded last is lost unless the guard is shut down"]
pub struct TelemetryGuard {
    exporters: Option<Exporters>,
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
    let started = exporters.as_ref().ok().and_then(Option::as_ref);
    let (traces, logs) = (started.map(Exporters::traces), started.map(Exporters::logs));
    let filter = EnvFilter::try_new(&settings.directives);
    let wrong_filter = filter.as_ref().err().map(ToString::to_string);
    // The first subscriber of a process stays, as in tests that share one.
    let subscriber = tracing_subscriber::registry().with(filter.unwrap_or_else(|_| EnvFilter::new("info")));
    // Traces first: they put the ids in place that the logs carry.
    subscriber.with(traces).with(logs).with(log_layer()).try_init().ok();
    if let Some(error) = wrong_filter {
        tracing::warn!(directives = settings.directives, error, "the log filter is wrong; using info");
    }
    if let Err(error) = &exporters {
        tracing::warn!(%error, "traces, metrics and logs are not exported");
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
    // A batch that is not taken is told once, in our words; the library would say it of every batch.
    let once = filter_fn(|metadata| {
        let is_repeated = ["ExportError", "AfterShutdown"].iter().any(|end| metadata.name().ends_with(end));
        !(metadata.target().starts_with("opentelemetry") && is_repeated)
    });
    if io::stderr().is_terminal() {
        fmt::layer().with_writer(io::stderr).with_target(false).with_filter(once).boxed()
    } else {
        let lines = fmt::layer().with_writer(io::stderr).json().flatten_event(true).with_span_list(false);
        lines.with_filter(once).boxed()
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

impl TelemetryGuard {
    /// Sends what the exporters still hold, for at most two seconds.
    pub async fn shutdown(self) {
        if let Some(exporters) = self.exporters {
            exporters.shutdown().await;
        }
    }
}
