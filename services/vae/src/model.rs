//! A loaded autoencoder as the face sees it: an engine that owns it, and the calls that pass through the
//! engine's queue.

use std::ops::Range;

use domain::{Anchoring, Error, Image, ImageBatch, ImageShape, Latent, Result};
use runtime::{
    engine::{Engine, EngineConfig, QueueConfig, Worker},
    gate::Gate,
};

use crate::{
    interpolation,
    neighborhood::Neighborhood,
    vae::{Autoencoder, Residual, rounded},
};

/// Most images or points of one call: some 20 ms of computing, which is what another caller may wait.
pub const MAX_CALL_SIZE: usize = 1_024;

/// A handle to one autoencoder on its engine thread. Cheap to clone; the last one ends the thread.
#[derive(Clone)]
pub struct Model {
    engine: Engine<Ask, Answer>,
    shape: ImageShape,
    dimension_count: usize,
}

/// A point and its image.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// One coordinate a dimension, one list an image.
    pub coordinates: Vec<Vec<f32>>,
    /// In the same order.
    pub images: ImageBatch,
}

/// An instance with all that its neighborhood needs: made once, used for every chunk.
#[derive(Debug, Clone)]
pub struct Anchor {
    /// z0.
    pub posterior_mean: Vec<f32>,
    /// x0 − dec(z0); `None` where neighbors are decoded plainly.
    pub residual: Option<Residual>,
}

enum Ask {
    Encode(ImageBatch),
    Decode(Vec<Vec<f32>>),
}

enum Answer {
    Latents(Vec<Latent>),
    Pixels(Vec<f32>),
}

impl Model {
    /// Builds the autoencoder on a new engine thread and returns once it can answer.
    pub async fn start<F>(name: &str, queue: QueueConfig, gate: Gate, build: F) -> Result<Self>
    where
        F: FnOnce() -> Result<Box<dyn Autoencoder>> + Send + 'static,
    {
        let (report, sizes) = std::sync::mpsc::sync_channel(1);
        let config = EngineConfig::queued(name, MAX_CALL_SIZE, queue);
        let build = move || {
            let autoencoder = build()?;
            report.send((autoencoder.shape(), autoencoder.dimension_count())).map_err(Error::unexpected)?;
            Ok(Owner { autoencoder })
        };
        let engine = Engine::start(config, gate, build).await?;
        let (shape, dimension_count) = sizes.try_recv().map_err(Error::unexpected)?;
        Ok(Self { engine, shape, dimension_count })
    }

    /// Of every image it reads and makes.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Coordinates of a latent point.
    pub fn dimension_count(&self) -> usize {
        self.dimension_count
    }

    /// Posteriors of 1 to [`MAX_CALL_SIZE`] images of the model's shape.
    pub async fn encode(&self, images: ImageBatch) -> Result<Vec<Latent>> {
        if images.shape() != self.shape {
            return Err(Error::image_shape(images.shape(), self.shape));
        }
        check_count("images", images.len())?;
        match self.engine.submit(Ask::Encode(images)).await?.answer {
            Answer::Latents(latents) => Ok(latents),
            Answer::Pixels(_) => Err(Error::unexpected("pixels for an image")),
        }
    }

    /// Images of 1 to [`MAX_CALL_SIZE`] points of the model's dimensions, with the residual of an anchor
    /// where one is given.
    pub async fn decode(&self, points: Vec<Vec<f32>>, residual: Option<&Residual>) -> Result<ImageBatch> {
        let mut decoded = self.decode_unrounded(points).await?;
        if let Some(residual) = residual {
            residual.add_to(&mut decoded);
        }
        rounded(self.shape, &decoded)
    }

    /// Encodes an instance and decodes its posterior mean again.
    pub async fn anchor(&self, instance: &Image, anchoring: Anchoring) -> Result<Anchor> {
        let images = ImageBatch::from_images(instance.shape(), [instance])?;
        let latent = self.encode(images).await?.pop().ok_or_else(|| Error::unexpected("no latent for an image"))?;
        let posterior_mean = latent.mean;
        let residual = match anchoring {
            Anchoring::None => None,
            Anchoring::Residual => {
                let decoded = self.decode_unrounded(vec![posterior_mean.clone()]).await?;
                Some(Residual::new(instance, &decoded)?)
            }
        };
        Ok(Anchor { posterior_mean, residual })
    }

    /// Some neighbors of a neighborhood, by index.
    pub async fn neighbors(
        &self,
        neighborhood: &Neighborhood,
        residual: Option<&Residual>,
        indices: Range<usize>,
    ) -> Result<Points> {
        let coordinates = neighborhood.points(indices);
        let images = self.decode(coordinates.clone(), residual).await?;
        Ok(Points { coordinates, images })
    }

    /// Images on the straight line between two instances, both ends included.
    pub async fn interpolate(
        &self,
        from: &Image,
        to: &Image,
        step_count: usize,
        anchoring: Anchoring,
    ) -> Result<Points> {
        let (from, to) = (self.anchor(from, anchoring).await?, self.anchor(to, anchoring).await?);
        let coordinates = interpolation::points(&from.posterior_mean, &to.posterior_mean, step_count)?;
        let decoded = self.decode_unrounded(coordinates.clone()).await?;
        let images = interpolation::images(self.shape, decoded, from.residual.as_ref().zip(to.residual.as_ref()))?;
        Ok(Points { coordinates, images })
    }

    async fn decode_unrounded(&self, points: Vec<Vec<f32>>) -> Result<Vec<f32>> {
        check_count("latents", points.len())?;
        if let Some(wrong) = points.iter().find(|point| point.len() != self.dimension_count) {
            let (got, expected) = (wrong.len(), self.dimension_count);
            return Err(Error::invalid("latents", format!("{got} coordinates, the autoencoder has {expected}")));
        }
        match self.engine.submit(Ask::Decode(points)).await?.answer {
            Answer::Pixels(pixels) => Ok(pixels),
            Answer::Latents(_) => Err(Error::unexpected("latents for a point")),
        }
    }
}

fn check_count(field: &str, count: usize) -> Result<()> {
    if (1..=MAX_CALL_SIZE).contains(&count) {
        Ok(())
    } else {
        Err(Error::invalid(field, format!("{count} is outside 1 to {MAX_CALL_SIZE}")))
    }
}

/// The engine thread's side.
struct Owner {
    autoencoder: Box<dyn Autoencoder>,
}

impl Worker for Owner {
    type Job = Ask;
    type Answer = Answer;

    fn cost(&self, job: &Ask) -> usize {
        match job {
            Ask::Encode(images) => images.len(),
            Ask::Decode(points) => points.len(),
        }
    }

    fn run(&mut self, jobs: Vec<Ask>) -> Vec<Result<Answer>> {
        let answer = |job| match job {
            Ask::Encode(images) => self.autoencoder.encode(&images).map(Answer::Latents),
            Ask::Decode(points) => self.autoencoder.decode(&points).map(Answer::Pixels),
        };
        jobs.into_iter().map(answer).collect()
    }
}
