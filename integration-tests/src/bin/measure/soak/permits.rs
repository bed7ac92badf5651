//! Whether a server has all of its places for calls left: it takes 512 calls that wait, and a place that a
//! vanished caller kept would show when nearly all of them are wanted at once.

use std::time::Duration;

use integration_tests::{Api, trust::Models};
use proto::raw::{
    deeper::{
        explanation::v1::{self as raw, instance::Source},
        types::v1 as types,
    },
    google::longrunning::WaitOperationRequest,
};
use tokio::task::JoinSet;
use tonic::Status;

/// Calls at once.
const CALL_COUNT: usize = 500;
/// How long each of them waits.
const WAIT: Duration = Duration::from_secs(2);
/// The most neighbors there are: some seconds of work, so that there is something to wait for.
const NEIGHBOR_COUNT: u32 = 10_000;

/// How many of [`CALL_COUNT`] calls that wait at the same time are refused.
pub(super) async fn refused(api: &Api, models: &Models, example: &str, run: u64) -> Result<usize, Status> {
    let request = raw::CreateExplanationRequest {
        explanation_id: format!("soak-{run}-permits"),
        teacher: models.teacher.name.clone(),
        autoencoder: models.autoencoder.clone(),
        instance: Some(raw::Instance { source: Some(Source::Example(example.to_owned())) }),
        neighborhood: Some(types::NeighborhoodSpec {
            neighbor_count: Some(NEIGHBOR_COUNT),
            seed: Some(run),
            ..Default::default()
        }),
        ..Default::default()
    };
    let name = format!("explanations/{}", request.explanation_id);
    let operation = api.explanations.clone().create_explanation(request).await?.into_inner();
    let timeout = prost_types::Duration::try_from(WAIT).ok();
    let mut calls = JoinSet::new();
    for _ in 0..CALL_COUNT {
        let mut operations = api.operations.clone();
        let request = WaitOperationRequest { name: operation.name.clone(), timeout };
        calls.spawn(async move { operations.wait_operation(request).await.is_err() });
    }
    let refused = calls.join_all().await.into_iter().filter(|is_refused| *is_refused).count();
    api.explanations.clone().delete_explanation(raw::DeleteExplanationRequest { name }).await?;
    Ok(refused)
}
