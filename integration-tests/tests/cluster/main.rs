//! What `cargo xtask up --cluster` starts, behind the nginx that it starts: what comes through, and what a user sees of
//! a death. What replicas alone withstand is in kill.rs and replicas.rs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

mod deaths;
mod through;

use std::time::Duration;

use integration_tests::{
    api::{explain_example, neighbors},
    small::{AUTOENCODER, TEACHER},
    whole::Whole,
};
use proto::raw::deeper::explanation::v1 as raw;

/// One cluster at a time: ten programs share the machine's processors.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Neighbors of each explanation.
const NEIGHBOR_COUNT: u32 = 1_000;
/// What is under way on an idle machine is there within milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
const TEACHER_COUNT: usize = 3;

const CATALOG: &str = "/deeper.catalog.v1.CatalogService";
const EXPLANATIONS: &str = "/deeper.explanation.v1.ExplanationService";

/// Stops all teachers (`STOP`) or lets them go on (`CONT`): an explanation is in the middle for as long as one likes,
/// if that is less than the five seconds after which it fails.
fn all_teachers(whole: &Whole, signal: &str) {
    for index in 0..TEACHER_COUNT {
        whole.cluster.member("teacher", index).signal(signal);
    }
}

/// A request to explain an image of MNIST.
fn explain(id: &str) -> raw::CreateExplanationRequest {
    raw::CreateExplanationRequest {
        teacher: TEACHER.into(),
        autoencoder: AUTOENCODER.into(),
        neighborhood: neighbors(NEIGHBOR_COUNT),
        ..explain_example(id, "datasets/mnist/examples/train-7")
    }
}

fn watch(id: &str) -> raw::WatchExplanationRequest {
    raw::WatchExplanationRequest { name: format!("explanations/{id}") }
}
