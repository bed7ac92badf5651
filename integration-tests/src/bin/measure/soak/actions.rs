//! The actions of a client: each ends well, or says what was not as it should be.

use std::time::{Duration, Instant};

use integration_tests::Api;
use proto::raw::{
    deeper::{
        catalog::v1 as catalog,
        explanation::v1::{self as raw, State},
        types::v1 as types,
    },
    google::longrunning::CancelOperationRequest,
};
use tonic::{Status, Streaming};

use super::clients::{Action, Client, connect, ended_otherwise, student_of};

/// Points of a slider's call.
const POINT_COUNT: usize = 64;
/// How long a slider's last call is waited for: less than it takes.
const PATIENCE: Duration = Duration::from_millis(5);

/// Does one thing.
pub(super) async fn act(client: &mut Client, action: Action) -> Result<(), Status> {
    match action {
        Action::Explain => explain(client).await,
        Action::Repeat => repeat(client).await,
        Action::Cancel => cancel(client).await,
        Action::Leave => leave(client).await,
        Action::Distill => distill(client).await,
        Action::Slide => slide(client).await,
        Action::Look => look(client).await,
    }
}

/// Every third one stays, as users leave them.
async fn explain(client: &mut Client) -> Result<(), Status> {
    let request = client.request();
    let start = Instant::now();
    let explanation = client.api.explain(request.clone()).await?;
    let student = student_of(&explanation)?;
    client.shared.tally.explained(start.elapsed());
    client.last = Some((request, student));
    if client.numbers.unit() < 1.0 / 3.0 {
        client.keep(explanation.name).await
    } else {
        client.forget(explanation.name).await
    }
}

async fn repeat(client: &mut Client) -> Result<(), Status> {
    let Some((request, student)) = client.last.clone() else { return explain(client).await };
    let request = client.again(&request);
    let explanation = client.api.explain(request).await?;
    if student_of(&explanation)? != student {
        return Err(Status::data_loss(format!("{} is another answer to the same question", explanation.name)));
    }
    client.forget(explanation.name).await
}

/// Once the first neighbors are labelled, so that the engines are at it.
async fn cancel(client: &mut Client) -> Result<(), Status> {
    let request = client.request();
    let operation = client.api.explanations.clone().create_explanation(request.clone()).await?.into_inner();
    let mut states = watch(&client.api, &request).await?;
    let mut last = states.message().await?.unwrap_or_default();
    while last.labeled_neighbor_count == 0 && !is_done(&last) {
        let Some(next) = states.message().await? else { break };
        last = next;
    }
    let start = Instant::now();
    client.api.operations.clone().cancel_operation(CancelOperationRequest { name: operation.name }).await?;
    while let Some(next) = states.message().await? {
        last = next;
    }
    match last.state() {
        State::Cancelled => client.shared.tally.cancelled(start.elapsed()),
        // It was quicker than we.
        State::Succeeded => {}
        _ => return Err(ended_otherwise(&last)),
    }
    client.forget(last.name).await
}

/// The connection goes with everything on it. Every other explanation is left to itself, the others are deleted
/// while they run.
async fn leave(client: &mut Client) -> Result<(), Status> {
    let request = client.request();
    let name = format!("explanations/{}", request.explanation_id);
    let own = connect(&client.shared.server)?;
    own.explanations.clone().create_explanation(request.clone()).await?;
    let mut states = watch(&own, &request).await?;
    while let Some(state) = states.message().await? {
        if state.labeled_neighbor_count > 0 || is_done(&state) {
            break;
        }
    }
    drop((states, own));
    if client.coin() { client.keep(name).await } else { client.forget(name).await }
}

/// L-BFGS, which takes longer than the default.
async fn distill(client: &mut Client) -> Result<(), Status> {
    let Some(parent) = client.kept.back().cloned() else { return explain(client).await };
    let iteration_count = Some(20 + (client.numbers.unit() * 100.0) as u32);
    let solver = types::student_spec::Solver::Lbfgs(types::LbfgsSolver { iteration_count, tolerance: Some(0.0) });
    let spec = Some(types::StudentSpec { solver: Some(solver), ..Default::default() });
    let request = raw::CreateStudentRequest { parent, spec, ..Default::default() };
    let mut answers = client.api.explanations.clone().create_student(request).await?.into_inner();
    let leaves_early = client.coin();
    while let Some(answer) = answers.message().await? {
        let is_student = matches!(answer.answer, Some(raw::create_student_response::Answer::Student(_)));
        if is_student || leaves_early {
            return Ok(());
        }
    }
    Err(Status::data_loss("a distillation ended without a student"))
}

async fn slide(client: &mut Client) -> Result<(), Status> {
    let request = client.request();
    let encode = raw::EncodeInstanceRequest {
        teacher: request.teacher.clone(),
        autoencoder: request.autoencoder.clone(),
        instance: request.instance.clone(),
    };
    let encoded = client.api.explanations.clone().encode_instance(encode).await?.into_inner();
    let mean = encoded.latent.unwrap_or_default().mean;
    let mut points = || -> Vec<types::LatentPoint> {
        let mut near = || mean.iter().map(|z| z + client.numbers.unit() as f32 - 0.5).collect();
        (0..POINT_COUNT).map(|_| types::LatentPoint { coordinates: near() }).collect()
    };
    let (first, last) = (points(), points());
    let decode = |latents| raw::DecodeLatentsRequest {
        teacher: request.teacher.clone(),
        autoencoder: request.autoencoder.clone(),
        latents,
        anchor: request.instance.clone(),
    };
    let mut explanations = client.api.explanations.clone();
    let images = explanations.decode_latents(decode(first)).await?.into_inner().images;
    if images.len() != POINT_COUNT {
        return Err(Status::data_loss(format!("{} images of {POINT_COUNT} points", images.len())));
    }
    // Whether it was quick enough does not matter; that the server lets go of it does.
    match tokio::time::timeout(PATIENCE, explanations.decode_latents(decode(last))).await {
        Ok(answer) => answer.map(drop),
        Err(_) => Ok(()),
    }
}

async fn look(client: &mut Client) -> Result<(), Status> {
    let teacher = client.shared.models.teacher.clone();
    let recipe = teacher.recipe.unwrap_or_default();
    let request = catalog::GetConfusionMatrixRequest {
        teacher: teacher.name.clone(),
        dataset: recipe.dataset.clone(),
        split: String::new(),
    };
    client.api.catalog.clone().get_confusion_matrix(request).await?;
    let request = catalog::ListExamplesRequest {
        parent: recipe.dataset,
        split: recipe.evaluation_split,
        teacher: teacher.name,
        errors_only: true,
        order: catalog::ExampleOrder::Confidence.into(),
        ..Default::default()
    };
    client.api.catalog.clone().list_examples(request).await?;
    client.api.explanations.clone().list_explanations(raw::ListExplanationsRequest::default()).await?;
    if let Some(parent) = client.kept.back().cloned() {
        let request = raw::ListNeighborsRequest { parent, page_size: 200, ..Default::default() };
        client.api.explanations.clone().list_neighbors(request).await?;
    }
    Ok(())
}

async fn watch(api: &Api, request: &raw::CreateExplanationRequest) -> Result<Streaming<raw::Explanation>, Status> {
    let name = format!("explanations/{}", request.explanation_id);
    Ok(api.explanations.clone().watch_explanation(raw::WatchExplanationRequest { name }).await?.into_inner())
}

fn is_done(explanation: &raw::Explanation) -> bool {
    matches!(explanation.state(), State::Succeeded | State::Failed | State::Cancelled)
}
