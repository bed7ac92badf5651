//! How far the training is that this process computes. There is one at a time, so no series needs its name; while
//! there is none, nothing is told, rather than the last value for ever.

use std::sync::{Mutex, Once, PoisonError};

use domain::Progress;
use opentelemetry::global;

/// What the gauges read whenever metrics leave.
#[derive(Debug, Clone, Copy)]
struct Latest {
    share_done: f64,
    epoch: f64,
    loss: f64,
    images_per_second: f64,
}

/// Written by the training's thread, read by the exporter's.
static LATEST: Mutex<Option<Latest>> = Mutex::new(None);

/// The training is so far.
pub(crate) fn training_reported(progress: &Progress) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    let share_done = if progress.step_count == 0 { 0.0 } else { progress.step as f64 / progress.step_count as f64 };
    set(Some(Latest {
        share_done,
        epoch: progress.epoch.into(),
        loss: progress.loss,
        images_per_second: progress.images_per_second,
    }));
}

/// No training is computed now.
pub(crate) fn training_ended() {
    set(None);
}

fn set(latest: Option<Latest>) {
    *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = latest;
}

fn read(part: fn(Latest) -> f64) -> Option<f64> {
    LATEST.lock().unwrap_or_else(PoisonError::into_inner).map(part)
}

fn register() {
    let meter = global::meter("deeper");
    let _ = meter
        .f64_observable_gauge("deeper.training.progress")
        .with_unit("1")
        .with_description("Share of its steps that the training has done")
        .with_callback(|gauge| read(|latest| latest.share_done).into_iter().for_each(|value| gauge.observe(value, &[])))
        .build();
    let _ = meter
        .f64_observable_gauge("deeper.training.epoch")
        .with_unit("{epoch}")
        .with_description("Epochs that the training has completed")
        .with_callback(|gauge| read(|latest| latest.epoch).into_iter().for_each(|value| gauge.observe(value, &[])))
        .build();
    let _ = meter
        .f64_observable_gauge("deeper.training.loss")
        .with_unit("{nat}")
        .with_description("Running mean loss of the training")
        .with_callback(|gauge| read(|latest| latest.loss).into_iter().for_each(|value| gauge.observe(value, &[])))
        .build();
    let _ = meter
        .f64_observable_gauge("deeper.training.speed")
        .with_unit("{image}/s")
        .with_description("Images that the training gets through")
        .with_callback(|gauge| {
            read(|latest| latest.images_per_second).into_iter().for_each(|value| gauge.observe(value, &[]));
        })
        .build();
}
