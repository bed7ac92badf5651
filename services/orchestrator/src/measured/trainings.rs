//! Trainings that are under way, and how they end.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::{Error, Result};
use opentelemetry::KeyValue;

use super::metrics;

/// A training that this process has taken on: first it waits for its turn, then it runs, here or in a model
/// service.
pub(crate) struct TrainingUnderWay {
    kind: &'static str,
    is_running: AtomicBool,
}

impl TrainingUnderWay {
    /// `kind` is `teacher` or `autoencoder`.
    pub(crate) fn queued(kind: &'static str) -> Self {
        let queued = Self { kind, is_running: AtomicBool::new(false) };
        queued.add(1);
        queued
    }

    /// Its turn has come.
    pub(crate) fn runs(&self) {
        self.add(-1);
        self.is_running.store(true, Ordering::Relaxed);
        self.add(1);
    }

    /// It came to its end.
    pub(crate) fn ended(&self, outcome: &Result<()>) {
        let outcome = match outcome {
            Ok(()) => "succeeded",
            Err(Error::Cancelled) => "cancelled",
            Err(_) => "failed",
        };
        let attributes = [KeyValue::new("training.kind", self.kind), KeyValue::new("training.outcome", outcome)];
        metrics().trainings_ended.add(1, &attributes);
    }

    fn add(&self, change: i64) {
        let state = if self.is_running.load(Ordering::Relaxed) { "running" } else { "queued" };
        let attributes = [KeyValue::new("training.kind", self.kind), KeyValue::new("training.state", state)];
        metrics().trainings.add(change, &attributes);
    }
}

impl Drop for TrainingUnderWay {
    fn drop(&mut self) {
        self.add(-1);
    }
}
