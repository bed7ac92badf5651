//! Every instrument that `runtime` records into. Without a collector they cost next to nothing.

mod training;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, HistogramBuilder},
};

pub(crate) use self::training::{training_ended, training_reported};
use crate::observe::Side;

/// The conventions' boundaries in seconds, with three of our own for trainings and long streams.
const DURATION_BOUNDARIES: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0];

/// The instruments, made on first use: after `telemetry::init` has set the provider.
pub(crate) struct Metrics {
    server_call: Histogram<f64>,
    client_call: Histogram<f64>,
    call_repeated: Counter<u64>,
    engine_queue: Histogram<f64>,
    engine_gate: Histogram<f64>,
    engine_compute: Histogram<f64>,
    engine_batch: Histogram<u64>,
    engine_refused: Counter<u64>,
    engine_length: Gauge<u64>,
    training_turn: Histogram<f64>,
}

/// The process's instruments. docs/TELEMETRY.md lists them; a test holds the list and these lines together, and
/// reads name and unit here as they are written.
pub(crate) fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| {
        let meter = global::meter("deeper");
        Metrics {
            server_call: durations(
                meter
                    .f64_histogram("rpc.server.call.duration")
                    .with_unit("s")
                    .with_description("From the request to the last trailer"),
            ),
            client_call: durations(
                meter
                    .f64_histogram("rpc.client.call.duration")
                    .with_unit("s")
                    .with_description("From the request to the last trailer of one try"),
            ),
            call_repeated: meter
                .u64_counter("deeper.client.repeats")
                .with_unit("{call}")
                .with_description("Calls that were made again after a failure")
                .build(),
            engine_queue: durations(
                meter
                    .f64_histogram("deeper.engine.queue.duration")
                    .with_unit("s")
                    .with_description("What a job waits before its batch begins"),
            ),
            engine_gate: durations(
                meter
                    .f64_histogram("deeper.engine.gate.duration")
                    .with_unit("s")
                    .with_description("What a batch waits until nothing else of the process computes"),
            ),
            engine_compute: durations(
                meter
                    .f64_histogram("deeper.engine.compute.duration")
                    .with_unit("s")
                    .with_description("What a batch computes"),
            ),
            engine_batch: meter
                .u64_histogram("deeper.engine.batch.cost")
                .with_unit("{image}")
                .with_description("What a batch costs, in images or jobs")
                .with_boundaries(vec![1.0, 8.0, 32.0, 64.0, 125.0, 250.0, 500.0, 1_000.0])
                .build(),
            engine_refused: meter
                .u64_counter("deeper.engine.refused")
                .with_unit("{job}")
                .with_description("Jobs that found the queue full")
                .build(),
            engine_length: meter
                .u64_gauge("deeper.engine.queue.length")
                .with_unit("{job}")
                .with_description("Jobs that wait for their batch")
                .build(),
            training_turn: durations(
                meter
                    .f64_histogram("deeper.training.turn.duration")
                    .with_unit("s")
                    .with_description("What a training computes between two looks at who else wants to"),
            ),
        }
    })
}

fn durations(builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
    builder.with_boundaries(DURATION_BOUNDARIES.to_vec()).build()
}

impl Metrics {
    /// `method` is one of ours or `_OTHER`: a stranger makes no series.
    pub(crate) fn call_ended(
        &self,
        side: &Side,
        method: &str,
        seconds: f64,
        code: &'static str,
        error: Option<&'static str>,
    ) {
        let mut attributes = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method.to_owned()),
            KeyValue::new("rpc.status_code", code),
        ];
        let histogram = match side {
            Side::Server => &self.server_call,
            Side::Client { service } => {
                attributes.push(KeyValue::new("server.address", Arc::clone(service)));
                &self.client_call
            }
        };
        attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
        histogram.record(seconds, &attributes);
    }

    pub(crate) fn engine_waited(&self, engine: &str, queue: Duration) {
        self.engine_queue.record(queue.as_secs_f64(), &[of_engine(engine)]);
    }

    pub(crate) fn engine_ran(&self, engine: &str, compute: Duration, batch_cost: usize) {
        self.engine_compute.record(compute.as_secs_f64(), &[of_engine(engine)]);
        self.engine_batch.record(batch_cost as u64, &[of_engine(engine)]);
    }

    pub(crate) fn engine_queue_is(&self, engine: &str, length: usize) {
        self.engine_length.record(length as u64, &[of_engine(engine)]);
    }

    pub(crate) fn call_repeated(&self, service: &str) {
        self.call_repeated.add(1, &[KeyValue::new("service.peer.name", service.to_owned())]);
    }

    pub(crate) fn engine_passed_gate(&self, engine: &str, wait: Duration) {
        self.engine_gate.record(wait.as_secs_f64(), &[of_engine(engine)]);
    }

    pub(crate) fn training_had_turn(&self, turn: Duration) {
        self.training_turn.record(turn.as_secs_f64(), &[]);
    }

    pub(crate) fn engine_refused(&self, engine: &str) {
        self.engine_refused.add(1, &[of_engine(engine)]);
    }
}

/// A process has an engine for each model that it keeps open, which are few (`DEEPER_MODELS_IN_MEMORY`). The series of
/// models that were closed stay until the process ends; past 2,000 the SDK gathers what is new in one of overflow.
fn of_engine(engine: &str) -> KeyValue {
    KeyValue::new("engine.name", engine.to_owned())
}
