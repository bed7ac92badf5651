//! What an operator sees of explanations and trainings: how many are under way, how they end, and where an
//! explanation's time goes. Nobody's name is in it: each instrument has a dozen series at most.

mod pieces;
mod trainings;

use std::{
    future::Future,
    sync::OnceLock,
    time::{Duration, Instant},
};

use domain::{ExplanationState, Result};
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, UpDownCounter},
};

pub(crate) use self::{pieces::Pieces, trainings::TrainingUnderWay};

/// From an answer out of the cache to thousands of neighbors with a teacher on one core.
const DURATION_BOUNDARIES: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0];

struct Metrics {
    explanations: UpDownCounter<i64>,
    explanation: Histogram<f64>,
    stage: Histogram<f64>,
    trainings: UpDownCounter<i64>,
    trainings_ended: Counter<u64>,
}

fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| {
        let meter = global::meter("deeper");
        Metrics {
            explanations: meter
                .i64_up_down_counter("deeper.explanation.under_way")
                .with_unit("{explanation}")
                .with_description("Explanations that are waited for")
                .build(),
            explanation: meter
                .f64_histogram("deeper.explanation.duration")
                .with_unit("s")
                .with_description("From the beginning of an explanation to its end")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            stage: meter
                .f64_histogram("deeper.explanation.stage.duration")
                .with_unit("s")
                .with_description("What an explanation spends in a stage; stages overlap")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            trainings: meter
                .i64_up_down_counter("deeper.training.under_way")
                .with_unit("{training}")
                .with_description("Trainings that run or wait for their turn")
                .build(),
            trainings_ended: meter
                .u64_counter("deeper.training.ended")
                .with_unit("{training}")
                .with_description("Trainings that came to their end")
                .build(),
        }
    })
}

/// An explanation that is waited for. Dropped without an end, because the process stops, it has none.
pub(crate) struct ExplanationUnderWay(Instant);

impl ExplanationUnderWay {
    pub(crate) fn begin() -> Self {
        metrics().explanations.add(1, &[]);
        Self(Instant::now())
    }

    /// It came to its end.
    pub(crate) fn ended(self, state: &ExplanationState) {
        let outcome = match state {
            ExplanationState::Succeeded => "succeeded",
            ExplanationState::Cancelled => "cancelled",
            _ => "failed",
        };
        let attributes = [KeyValue::new("explanation.outcome", outcome)];
        metrics().explanation.record(self.0.elapsed().as_secs_f64(), &attributes);
    }
}

impl Drop for ExplanationUnderWay {
    fn drop(&mut self) {
        metrics().explanations.add(-1, &[]);
    }
}

/// Where an explanation's time goes. Stages overlap, but for the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Finding the instance in the latent space, unless that is known.
    Encoding,
    /// Waiting for neighbors with a place at the teacher free, also while one chunk is there.
    Generating,
    /// At least one chunk of neighbors is with the teacher.
    Labeling,
    /// From the last label to the last student.
    Fitting,
}

/// A stage has been passed.
pub(crate) fn stage_took(stage: Stage, time: Duration) {
    let name = match stage {
        Stage::Encoding => "encoding",
        Stage::Generating => "generating",
        Stage::Labeling => "labeling",
        Stage::Fitting => "fitting",
    };
    metrics().stage.record(time.as_secs_f64(), &[KeyValue::new("explanation.stage", name)]);
}

/// Does all of a stage at once, and says how long that took if it comes to something.
pub(crate) async fn whole<T>(stage: Stage, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started_at = Instant::now();
    let done = work.await?;
    stage_took(stage, started_at.elapsed());
    Ok(done)
}
