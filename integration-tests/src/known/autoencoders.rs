//! Autoencoders that are a formula: one that keeps every pixel, and one that keeps four numbers an image.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use domain::{AutoencoderRecipe, Error, ImageBatch, ImageShape, Latent, Progress, ResourceName, Result};
use runtime::{
    engine::QueueConfig,
    gate::Gate,
    long::{LongTask, TrainingQueue},
};
use tokio_util::sync::CancellationToken;
use vae::{
    model::Model,
    models::{Models, Trained},
    vae::Autoencoder,
};

use super::images::SHAPE;

/// A training with this seed goes on until it is cancelled.
pub const ENDLESS_SEED: u64 = 99;

/// Gray that the prior's standard deviation is worth, as a share of white.
const SPREAD: f32 = 0.25;

/// What an autoencoder keeps of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownAutoencoder {
    /// One coordinate a pixel: nothing is lost.
    Identity,
    /// The mean of each quarter of the image: everything else is lost.
    Quarters,
}

impl KnownAutoencoder {
    /// Tells by the number of dimensions which one is meant.
    pub fn of(dimension_count: u32) -> Option<Self> {
        [Self::Identity, Self::Quarters].into_iter().find(|known| known.dimension_count() == dimension_count as usize)
    }

    /// The dimension that a pixel is painted from.
    fn dimension_of(self, pixel: usize) -> usize {
        let (row, column) = (pixel / SHAPE.width, pixel % SHAPE.width);
        match self {
            Self::Identity => pixel,
            Self::Quarters => 2 * (2 * row / SHAPE.height) + 2 * column / SHAPE.width,
        }
    }
}

impl Autoencoder for KnownAutoencoder {
    fn shape(&self) -> ImageShape {
        SHAPE
    }

    fn dimension_count(&self) -> usize {
        match self {
            Self::Identity => SHAPE.pixel_count(),
            Self::Quarters => 4,
        }
    }

    fn encode(&self, images: &ImageBatch) -> Result<Vec<Latent>> {
        let pixels_each = (SHAPE.pixel_count() / self.dimension_count()) as f32;
        let encode = |image: &[u8]| {
            let mut mean = vec![0.0; self.dimension_count()];
            for (pixel, &gray) in image.iter().enumerate() {
                mean[self.dimension_of(pixel)] += (f32::from(gray) / 255.0 - 0.5) / (SPREAD * pixels_each);
            }
            let log_variance = vec![-4.0; mean.len()];
            Latent::new(mean, log_variance)
        };
        images.iter().map(encode).collect()
    }

    fn decode(&self, points: &[Vec<f32>]) -> Result<Vec<f32>> {
        let paint = |point: &Vec<f32>| {
            let gray = |pixel| (0.5 + SPREAD * point[self.dimension_of(pixel)]).clamp(0.0, 1.0);
            (0..SHAPE.pixel_count()).map(gray).collect::<Vec<f32>>()
        };
        Ok(points.iter().flat_map(paint).collect())
    }
}

/// The vae service's models: a training ends with the known autoencoder of the recipe's dimensions.
pub struct KnownAutoencoders {
    identity: Model,
    quarters: Model,
    trainings: TrainingQueue,
    /// Trained so far. Written by trainings; shared with the process after a restart.
    trained: Arc<Mutex<HashMap<ResourceName, KnownAutoencoder>>>,
}

impl KnownAutoencoders {
    /// `trained` outlives this process's models.
    pub async fn start(
        gate: Gate,
        trainings: TrainingQueue,
        trained: Arc<Mutex<HashMap<ResourceName, KnownAutoencoder>>>,
    ) -> Result<Self> {
        let start = |name, known| {
            let gate = gate.clone();
            async move { Model::start(name, QueueConfig::default(), gate, move || Ok(Box::new(known) as _)).await }
        };
        let identity = start("identity", KnownAutoencoder::Identity).await?;
        let quarters = start("quarters", KnownAutoencoder::Quarters).await?;
        Ok(Self { identity, quarters, trainings, trained })
    }
}

fn lock(
    trained: &Mutex<HashMap<ResourceName, KnownAutoencoder>>,
) -> MutexGuard<'_, HashMap<ResourceName, KnownAutoencoder>> {
    trained.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Models for KnownAutoencoders {
    async fn model(&self, name: &ResourceName) -> Result<Model> {
        match lock(&self.trained).get(name) {
            Some(KnownAutoencoder::Identity) => Ok(self.identity.clone()),
            Some(KnownAutoencoder::Quarters) => Ok(self.quarters.clone()),
            None => Err(Error::NotFound { kind: "AUTOENCODER", resource: name.to_string() }),
        }
    }

    fn train(
        &self,
        name: ResourceName,
        recipe: AutoencoderRecipe,
        cancellation: CancellationToken,
    ) -> Result<LongTask<Progress, Trained>> {
        let trained = Arc::clone(&self.trained);
        self.trainings.start("train", cancellation, Progress::queued(recipe.epoch_count), move |context| {
            let known = KnownAutoencoder::of(recipe.latent_dimension_count)
                .ok_or_else(|| Error::invalid("recipe.latent_dimension_count", "is not one of a known autoencoder"))?;
            super::teachers::train(recipe.seed, recipe.epoch_count, context)?;
            lock(&trained).insert(name, known);
            Ok(Trained { digest: format!("{:0>64}", format!("{known:?}").to_lowercase()), loss: 12.5 })
        })
    }
}
