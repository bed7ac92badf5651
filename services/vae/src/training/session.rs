//! A training's state and its steps: from a checkpoint, forward, and into a checkpoint again.

use std::time::{Duration, Instant};

use domain::{AutoencoderRecipe, Error, ImageBatch, LossCurve, LossPoint, Progress, Result, TrainingPhase};
use runtime::long::LongContext;
use tch::{Device, Kind, Tensor};
use torch::{Adam, Checkpoint, Optimizer, Randomness, gradients};

use super::describe;
use crate::networks::{Perceptrons, Sizes};

/// How long one stay inside the gate lasts: what an interactive caller may have to wait.
const STAY: Duration = Duration::from_millis(50);
/// Of the learning rate, in the last epoch: it falls to it linearly.
const LAST_RATE_SHARE: f64 = 0.1;

/// Streams of the seed's generator: one for the weights, then one an epoch and one a step.
const WEIGHTS: u64 = 0;
const ORDERS: u64 = 1 << 40;
const NOISES: u64 = 2 << 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    SomeStep,
    EndOfEpoch,
}

pub(super) struct Session<'a> {
    recipe: &'a AutoencoderRecipe,
    /// [image, pixel], bytes.
    pixels: Tensor,
    image_count: usize,
    pub(super) network: Perceptrons,
    optimizer: Adam,
    /// Steps done.
    pub(super) step: u64,
    /// Order of the images in the epoch of the next step, and which epoch that is.
    order: (u64, Tensor),
    curve: LossCurve,
    /// Sum over the steps of the epoch of the next step, of losses times images.
    epoch_sum: f64,
    epoch_image_count: u64,
    pub(super) last_epoch_loss: f64,
}

impl<'a> Session<'a> {
    pub(super) fn resume(
        recipe: &'a AutoencoderRecipe,
        images: &ImageBatch,
        device: Device,
        kept: Option<Vec<u8>>,
    ) -> Result<Self> {
        let sizes = Sizes {
            shape: images.shape(),
            dimension_count: recipe.latent_dimension_count as usize,
            hidden_size: recipe.hidden_size as usize,
        };
        let network = Perceptrons::new(sizes, device, &mut Randomness::new(recipe.seed, WEIGHTS))?;
        let bytes = Tensor::f_from_data_size(
            images.pixels(),
            &[images.len() as i64, images.shape().pixel_count() as i64],
            Kind::Uint8,
        );
        let mut session = Self {
            recipe,
            pixels: bytes.and_then(|bytes| bytes.f_to_device(device)).map_err(Error::unexpected)?,
            image_count: images.len(),
            optimizer: Adam::new(network.parameters())?,
            network,
            step: 0,
            order: (u64::MAX, Tensor::new()),
            curve: LossCurve::default(),
            epoch_sum: 0.0,
            epoch_image_count: 0,
            last_epoch_loss: 0.0,
        };
        if let Some(bytes) = kept {
            let checkpoint = Checkpoint::from_bytes(&bytes)?;
            if checkpoint.metadata.get("recipe") == Some(&describe(recipe)) {
                session.restore(&checkpoint)?;
            }
        }
        Ok(session)
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.network.parameters().load(checkpoint)?;
        self.optimizer.load(checkpoint)?;
        self.step = checkpoint.number("step")?;
        self.epoch_sum = checkpoint.number("epoch_sum")?;
        self.epoch_image_count = checkpoint.number("epoch_image_count")?;
        self.last_epoch_loss = checkpoint.number("last_epoch_loss")?;
        let points = checkpoint.metadata.get("loss_curve").map(String::as_str).unwrap_or_default();
        self.curve = LossCurve::resume(points.split_whitespace().filter_map(read_point).collect());
        Ok(())
    }

    pub(super) fn checkpoint(&self) -> Result<Checkpoint> {
        let points: Vec<String> =
            self.curve.points().iter().map(|point| format!("{}:{}", point.step, point.loss)).collect();
        let checkpoint = Checkpoint::of(self.network.parameters())?.with(self.optimizer.state());
        Ok(checkpoint
            .note("recipe", describe(self.recipe))
            .note("step", self.step)
            .note("epoch_sum", self.epoch_sum)
            .note("epoch_image_count", self.epoch_image_count)
            .note("last_epoch_loss", self.last_epoch_loss)
            .note("loss_curve", points.join(" ")))
    }

    fn steps_per_epoch(&self) -> u64 {
        self.image_count.div_ceil(self.recipe.batch_size as usize) as u64
    }

    pub(super) fn step_count(&self) -> u64 {
        self.steps_per_epoch() * u64::from(self.recipe.epoch_count)
    }

    /// Steps for [`STAY`], to the end of the epoch, or until cancelled.
    pub(super) fn stay(&mut self, context: &LongContext<Progress>) -> Result<Reached> {
        let until = Instant::now() + STAY;
        loop {
            self.advance()?;
            if self.step.is_multiple_of(self.steps_per_epoch()) {
                self.last_epoch_loss = self.epoch_sum / self.epoch_image_count as f64;
                (self.epoch_sum, self.epoch_image_count) = (0.0, 0);
                return Ok(Reached::EndOfEpoch);
            }
            if Instant::now() >= until || context.is_cancelled() {
                return Ok(Reached::SomeStep);
            }
        }
    }

    /// One optimizer step.
    fn advance(&mut self) -> Result<()> {
        let (epoch, batch) = (self.step / self.steps_per_epoch(), self.step % self.steps_per_epoch());
        if self.order.0 != epoch {
            let order = Randomness::new(self.recipe.seed, ORDERS + epoch).permutation(self.image_count);
            self.order = (epoch, Tensor::from_slice(&order).to_device(self.pixels.device()));
        }
        let start = batch as usize * self.recipe.batch_size as usize;
        let count = (self.recipe.batch_size as usize).min(self.image_count - start);
        let chosen = self.order.1.narrow(0, start as i64, count as i64);
        let pixels = self.pixels.index_select(0, &chosen).to_kind(Kind::Float) / 255.0; // [image, pixel]
        let mut random = Randomness::new(self.recipe.seed, NOISES + self.step);
        let noise = random.normal_tensor(&[count as i64, self.recipe.latent_dimension_count.into()])?;
        let loss = self.network.negative_elbo(&pixels, &noise.to_device(pixels.device()));
        let objective = (&loss.reconstruction + &loss.divergence * self.recipe.beta) / count as f64;
        let gradients = gradients(&objective, self.network.parameters())?;
        let share = epoch as f64 / f64::from(self.recipe.epoch_count);
        let learning_rate = self.recipe.learning_rate * (1.0 - (1.0 - LAST_RATE_SHARE) * share);
        self.optimizer.step(self.network.parameters(), gradients, learning_rate)?;
        self.step += 1;
        let sum = (&loss.reconstruction + &loss.divergence).double_value(&[]);
        if !sum.is_finite() {
            return Err(diverged(self.step));
        }
        self.curve.record(self.step, sum / count as f64);
        self.epoch_sum += sum;
        self.epoch_image_count += count as u64;
        Ok(())
    }

    pub(super) fn progress(&self, steps_per_second: f64) -> Progress {
        let steps_left = (self.step_count() - self.step) as f64;
        let loss = if self.epoch_image_count > 0 {
            self.epoch_sum / self.epoch_image_count as f64
        } else {
            self.last_epoch_loss
        };
        Progress {
            phase: TrainingPhase::Training,
            epoch: (self.step / self.steps_per_epoch()) as u32,
            epoch_count: self.recipe.epoch_count,
            step: self.step,
            step_count: self.step_count(),
            loss,
            accuracy: 0.0,
            images_per_second: steps_per_second * self.image_count as f64 / self.steps_per_epoch() as f64,
            remaining_seconds: if steps_per_second > 0.0 { steps_left / steps_per_second } else { 0.0 },
            loss_curve: self.curve.points().to_vec(),
        }
    }
}

fn read_point(text: &str) -> Option<LossPoint> {
    let (step, loss) = text.split_once(':')?;
    Some(LossPoint { step: step.parse().ok()?, loss: loss.parse().ok()? })
}

fn diverged(step: u64) -> Error {
    Error::FailedPrecondition {
        reason: "TRAINING_DIVERGED",
        subject: "recipe.learning_rate".to_owned(),
        description: format!("the loss is no longer finite after {step} steps: try a smaller learning rate"),
    }
}
