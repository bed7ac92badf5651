//! Whether the collector takes what it is sent. A loss is told when it begins and when it is over, at most every
//! five minutes: a collector that is down for a night is one line of each signal, not thousands.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};

/// A collector that comes and goes is told of so often.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// An exporter whose losses are told.
#[derive(Debug)]
pub(super) struct Watched<E> {
    exporter: E,
    signal: &'static str,
    state: Mutex<State>,
}

/// Written and read after each batch.
#[derive(Debug, Default)]
struct State {
    told_at: Option<Instant>,
    is_told_lost: bool,
}

impl State {
    /// Whether a loss is to be told now.
    fn lost(&mut self, now: Instant) -> bool {
        let tell = !self.is_told_lost && self.told_at.is_none_or(|at| now.duration_since(at) >= TELL_AGAIN_AFTER);
        if tell {
            *self = Self { told_at: Some(now), is_told_lost: true };
        }
        tell
    }

    /// Whether the end of a loss is to be told now.
    fn taken(&mut self) -> bool {
        std::mem::replace(&mut self.is_told_lost, false)
    }
}

impl<E> Watched<E> {
    pub(super) fn new(signal: &'static str, exporter: E) -> Self {
        Self { exporter, signal, state: Mutex::default() }
    }

    /// Called on the exporter's own thread, whose words are not exported in turn.
    fn told(&self, result: OTelSdkResult) -> OTelSdkResult {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Err(error) if state.lost(Instant::now()) => {
                tracing::warn!(telemetry.signal = self.signal, %error, "the collector takes nothing: telemetry is lost");
            }
            Ok(()) if state.taken() => {
                tracing::info!(telemetry.signal = self.signal, "the collector takes telemetry again");
            }
            _ => {}
        }
        result
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.told(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.told(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.told(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once_and_a_collector_that_comes_and_goes_every_five_minutes() {
        let mut state = State::default();
        let start = Instant::now();
        assert!(state.lost(start));
        assert!(!state.lost(start + Duration::from_secs(3_600)), "it was told, and nothing has changed");
        assert!(state.taken());
        assert!(!state.taken());
        assert!(!state.lost(start + TELL_AGAIN_AFTER / 2), "too soon after the last time");
        assert!(!state.taken(), "a loss that was not told has no end to tell");
        assert!(state.lost(start + TELL_AGAIN_AFTER));
    }
}
