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
use runtime::{
    channel::{Channel, Tried},
    server::MAX_MESSAGE_BYTES,
};
use tonic::{Request, Response, Status, Streaming};

use super::{failed, ours};
use crate::ports::{TrainedAutoencoder, TrainedTeacher, Trainers, TrainingStream, TrainingUpdate};

/// The teacher and vae services behind their channels.
#[derive(Clone)]
pub struct TrainerClient {
    teacher: TeacherServiceClient<Channel>,
    teacher_channel: Channel,
    vae: VaeServiceClient<Channel>,
    vae_channel: Channel,
}

impl TrainerClient {
    /// Uses these channels; nothing is connected before the first call.
    pub fn new(teacher: Channel, vae: Channel) -> Self {
        Self {
            teacher: TeacherServiceClient::new(teacher.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            teacher_channel: teacher,
            vae: VaeServiceClient::new(vae.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            vae_channel: vae,
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
        let answers = placed(&self.teacher_channel, "teacher", request, |request| {
            let mut client = self.teacher.clone();
            async move { client.train_teacher(request).await }
        });
        let answers = answers.await?;
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
        let answers = placed(&self.vae_channel, "vae", request, |request| {
            let mut client = self.vae.clone();
            async move { client.train_autoencoder(request).await }
        });
        let answers = answers.await?;
        let answers = answers.map_ok(|answer| (answer.progress, answer.trained.map(trained_autoencoder)));
        Ok(updates("vae", answers).boxed())
    }
}

/// Begins a training on a replica that takes it: each one is asked once, and the last one's answer is the
/// answer. A replica that takes none says so at once, one that is away is passed over.
async fn placed<M: Clone, T, F>(
    replicas: &Channel,
    service: &'static str,
    message: M,
    call: impl Fn(Request<M>) -> F,
) -> Result<Streaming<T>>
where
    F: Future<Output = Result<Response<Streaming<T>>, Status>>,
{
    let tried = Tried::default();
    loop {
        let mut request = Request::new(message.clone());
        request.extensions_mut().insert(tried.clone());
        let error = match call(request).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => failed(service)(status),
        };
        let may_differ = matches!(error, Error::QueueFull { .. } | Error::UpstreamUnavailable { .. });
        if !may_differ || !replicas.has_untried(&tried) {
            return Err(error);
        }
        tracing::debug!(%error, "a training is asked of another replica");
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
