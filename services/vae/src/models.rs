//! What the service needs of its surroundings: autoencoders by name, and trainings. `stored.rs` has it
//! from the artifact store; tests have known answers.

use async_trait::async_trait;
use domain::{AutoencoderRecipe, Progress, ResourceName, Result};
use runtime::{engine::QueueConfig, long::LongTask};
use tokio_util::sync::CancellationToken;

use crate::model::Model;

/// The port of the service.
#[async_trait]
pub trait Models: Send + Sync + 'static {
    /// The queue in front of each model.
    fn queue(&self) -> QueueConfig {
        QueueConfig::default()
    }

    /// The model of this name, loaded if it was not. `NotFound` or `ModelNotReady` where it cannot be.
    async fn model(&self, name: &ResourceName) -> Result<Model>;

    /// Trains and stores an autoencoder; goes on from its last checkpoint if there is one of the same
    /// recipe. Cancelling ends it at its next step and keeps where it was. `QueueFull` where this replica takes
    /// no more trainings. Called on a tokio runtime.
    fn train(
        &self,
        name: ResourceName,
        recipe: AutoencoderRecipe,
        cancellation: CancellationToken,
    ) -> Result<LongTask<Progress, Trained>>;
}

/// What a training leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// blake3 of the weights, in hex.
    pub digest: String,
    /// Mean negative ELBO of the last epoch, in nats an image.
    pub loss: f64,
}
