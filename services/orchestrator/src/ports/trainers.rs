//! The long work of the model services. Dropping a stream ends the work at its next step; beginning it
//! again resumes from the last checkpoint.

use async_trait::async_trait;
use domain::{Architecture, AutoencoderRecipe, Progress, ResourceName, Result, TeacherRecipe};
use futures::stream::BoxStream;

/// One message of a training.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingUpdate<T> {
    /// How far it is.
    Progress(Progress),
    /// It is done: the last message.
    Trained(T),
}

/// What the training of a teacher leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedTeacher {
    /// blake3 of its weights in hex.
    pub digest: String,
    /// How it answers.
    pub engine: String,
    /// Its network.
    pub architecture: Architecture,
}

/// What the training of an autoencoder leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedAutoencoder {
    /// blake3 of its weights in hex.
    pub digest: String,
    /// Mean negative ELBO of the last epoch in nats an image.
    pub loss: f64,
}

/// The messages of a training, in order.
pub type TrainingStream<T> = BoxStream<'static, Result<TrainingUpdate<T>>>;

/// Trainings and evaluations.
#[async_trait]
pub trait Trainers: Send + Sync {
    /// Trains a teacher and stores its weights.
    async fn train_teacher(
        &self,
        teacher: &ResourceName,
        recipe: &TeacherRecipe,
    ) -> Result<TrainingStream<TrainedTeacher>>;

    /// Has a trained teacher answer every image of a split and stores the answers.
    async fn evaluate_teacher(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: &str,
    ) -> Result<TrainingStream<()>>;

    /// Trains an autoencoder and stores its weights.
    async fn train_autoencoder(
        &self,
        autoencoder: &ResourceName,
        recipe: &AutoencoderRecipe,
    ) -> Result<TrainingStream<TrainedAutoencoder>>;
}
