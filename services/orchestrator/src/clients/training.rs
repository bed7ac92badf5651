//! `Trainers` over gRPC: the long streams of the teacher and vae services.

use async_trait::async_trait;
use domain::{Architecture, AutoencoderRecipe, Error, Progress, ResourceName, Result, TeacherRecipe};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use proto::{
    raw::deeper::{
        teacher::v1::{
            self as teacher, EvaluateTeacherRequest, TrainTeacherRequest, teacher_service_client::TeacherServiceClient,
        },
        types::v1::TrainingProgress,
        vae::v1::{self as vae, TrainAutoencoderRequest, vae_service_client::VaeServiceClient},
    },
    recipes::architecture,
};
use runtime::{channel::Channel, server::MAX_MESSAGE_BYTES};
use tonic::Status;

use super::{failed, ours};
use crate::ports::{TrainedAutoencoder, TrainedTeacher, Trainers, TrainingStream, TrainingUpdate};

/// The teacher and vae services behind their channels.
#[derive(Clone)]
pub struct TrainerClient {
    teacher: TeacherServiceClient<Channel>,
    vae: VaeServiceClient<Channel>,
}

impl TrainerClient {
    /// Uses these channels; nothing is connected before the first call.
    pub fn new(teacher: Channel, vae: Channel) -> Self {
        Self {
            teacher: TeacherServiceClient::new(teacher).max_decoding_message_size(MAX_MESSAGE_BYTES),
            vae: VaeServiceClient::new(vae).max_decoding_message_size(MAX_MESSAGE_BYTES),
        }
    }
}

#[async_trait]
impl Trainers for TrainerClient {
    async fn train_teacher(
        &self,
        teacher: &ResourceName,
        recipe: &TeacherRecipe,
    ) -> Result<TrainingStream<TrainedTeacher>> {
        let request = TrainTeacherRequest { teacher: teacher.to_string(), recipe: Some(recipe.into()) };
        let answers = self.teacher.clone().train_teacher(request).await.map_err(failed("teacher"))?.into_inner();
        let answers = answers.map_ok(|answer| (answer.progress, answer.trained.map(trained_teacher)));
        Ok(updates("teacher", answers).boxed())
    }

    async fn evaluate_teacher(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: &str,
    ) -> Result<TrainingStream<()>> {
        let request = EvaluateTeacherRequest {
            teacher: teacher.to_string(),
            dataset: dataset.to_string(),
            split: split.to_owned(),
        };
        let answers = self.teacher.clone().evaluate_teacher(request).await.map_err(failed("teacher"))?.into_inner();
        // An evaluation has no last message of its own: it has succeeded when its stream ends well.
        let answers = answers.map_ok(|answer| (answer.progress, None));
        let end = stream::once(async { Ok(TrainingUpdate::Trained(())) });
        Ok(updates("teacher", answers).chain(end).boxed())
    }

    async fn train_autoencoder(
        &self,
        autoencoder: &ResourceName,
        recipe: &AutoencoderRecipe,
    ) -> Result<TrainingStream<TrainedAutoencoder>> {
        let request = TrainAutoencoderRequest { autoencoder: autoencoder.to_string(), recipe: Some(recipe.into()) };
        let answers = self.vae.clone().train_autoencoder(request).await.map_err(failed("vae"))?.into_inner();
        let answers = answers.map_ok(|answer| (answer.progress, answer.trained.map(trained_autoencoder)));
        Ok(updates("vae", answers).boxed())
    }
}

/// A message may hold progress, a result, or both.
fn updates<T: Send + 'static>(
    service: &'static str,
    answers: impl Stream<Item = Result<(Option<TrainingProgress>, Option<Result<T>>), Status>> + Send + 'static,
) -> impl Stream<Item = Result<TrainingUpdate<T>>> + Send + 'static {
    let read = move |answer: Result<(Option<TrainingProgress>, Option<Result<T>>), Status>| {
        let (progress, trained) = match answer.map_err(failed(service)) {
            Ok(parts) => parts,
            Err(error) => return stream::iter(vec![Err(error)]),
        };
        let progress = progress.map(|progress| ours(Progress::try_from(progress)).map(TrainingUpdate::Progress));
        let trained = trained.map(|trained| ours(trained).map(TrainingUpdate::Trained));
        stream::iter(progress.into_iter().chain(trained).collect::<Vec<_>>())
    };
    answers.map(read).flatten()
}

fn trained_teacher(trained: teacher::TrainedTeacher) -> Result<TrainedTeacher> {
    let architecture: Architecture = architecture(trained.architecture)?;
    Ok(TrainedTeacher { digest: digest(trained.digest)?, engine: trained.engine, architecture })
}

fn trained_autoencoder(trained: vae::TrainedAutoencoder) -> Result<TrainedAutoencoder> {
    Ok(TrainedAutoencoder { digest: digest(trained.digest)?, loss: trained.loss })
}

fn digest(digest: String) -> Result<String> {
    if digest.is_empty() { Err(Error::invalid("digest", "is required")) } else { Ok(digest) }
}
