//! Images, labels, latents, heatmaps and progress, as all services pass them.

use domain::{
    Error, Heatmap, Image, ImageBatch, ImageShape, Latent, Logits, LossPoint, Progress, Result, SoftLabels,
    Temperature, TrainingPhase,
};

use crate::raw::deeper::types::v1 as raw;

/// Largest number of pixel bytes in one message.
pub const MAX_BATCH_BYTES: usize = 1 << 20;

fn shape(channels: u32, height: u32, width: u32) -> Result<ImageShape> {
    ImageShape::new(channels as usize, height as usize, width as usize)
}

impl TryFrom<raw::Image> for Image {
    type Error = Error;

    fn try_from(image: raw::Image) -> Result<Self> {
        Image::new(shape(image.channels, image.height, image.width)?, image.pixels)
    }
}

impl From<&Image> for raw::Image {
    fn from(image: &Image) -> Self {
        let shape = image.shape();
        Self {
            channels: shape.channels as u32,
            height: shape.height as u32,
            width: shape.width as u32,
            pixels: image.pixels().to_vec(),
        }
    }
}

impl TryFrom<raw::ImageBatch> for ImageBatch {
    type Error = Error;

    fn try_from(batch: raw::ImageBatch) -> Result<Self> {
        if batch.pixels.len() > MAX_BATCH_BYTES {
            let message = format!("{} bytes are more than {MAX_BATCH_BYTES}", batch.pixels.len());
            return Err(Error::invalid("pixels", message));
        }
        ImageBatch::new(shape(batch.channels, batch.height, batch.width)?, batch.pixels)
    }
}

impl From<&ImageBatch> for raw::ImageBatch {
    fn from(batch: &ImageBatch) -> Self {
        let shape = batch.shape();
        Self {
            channels: shape.channels as u32,
            height: shape.height as u32,
            width: shape.width as u32,
            pixels: batch.pixels().to_vec(),
        }
    }
}

impl TryFrom<raw::Logits> for Logits {
    type Error = Error;

    fn try_from(logits: raw::Logits) -> Result<Self> {
        Logits::new(logits.values)
    }
}

impl From<&Logits> for raw::Logits {
    fn from(logits: &Logits) -> Self {
        Self { values: logits.values().to_vec() }
    }
}

/// Splits logits that travel image by image; each must be finite.
pub fn logits_from_flat(flat: &[f32], label_count: usize) -> Result<Vec<Logits>> {
    if label_count == 0 || !flat.len().is_multiple_of(label_count) {
        return Err(Error::invalid(
            "logits",
            format!("{} values are not a multiple of {label_count} labels", flat.len()),
        ));
    }
    flat.chunks_exact(label_count).map(|values| Logits::new(values.to_vec())).collect()
}

/// Joins logits image by image.
pub fn flat_from_logits(logits: &[Logits]) -> Vec<f32> {
    logits.iter().flat_map(|logits| logits.values().iter().copied()).collect()
}

impl TryFrom<raw::SoftLabels> for SoftLabels {
    type Error = Error;

    fn try_from(labels: raw::SoftLabels) -> Result<Self> {
        let sum: f64 = labels.probabilities.iter().sum();
        let in_range = labels.probabilities.iter().all(|p| (0.0..=1.0).contains(p));
        if labels.probabilities.is_empty() || !in_range || (sum - 1.0).abs() > 1e-6 {
            return Err(Error::invalid("probabilities", "must be in 0 to 1 and sum to 1"));
        }
        Ok(Self { probabilities: labels.probabilities, temperature: Temperature::new(labels.temperature)? })
    }
}

impl From<&SoftLabels> for raw::SoftLabels {
    fn from(labels: &SoftLabels) -> Self {
        Self { probabilities: labels.probabilities.clone(), temperature: labels.temperature.get() }
    }
}

impl TryFrom<raw::Latent> for Latent {
    type Error = Error;

    fn try_from(latent: raw::Latent) -> Result<Self> {
        Latent::new(latent.mean, latent.log_variance)
    }
}

impl From<&Latent> for raw::Latent {
    fn from(latent: &Latent) -> Self {
        Self { mean: latent.mean.clone(), log_variance: latent.log_variance.clone() }
    }
}

impl From<Vec<f32>> for raw::LatentPoint {
    fn from(coordinates: Vec<f32>) -> Self {
        Self { coordinates }
    }
}

impl TryFrom<raw::Heatmap> for Heatmap {
    type Error = Error;

    fn try_from(map: raw::Heatmap) -> Result<Self> {
        Heatmap::new(shape(map.channels, map.height, map.width)?, map.values)
    }
}

impl From<&Heatmap> for raw::Heatmap {
    fn from(map: &Heatmap) -> Self {
        let shape = map.shape();
        Self {
            channels: shape.channels as u32,
            height: shape.height as u32,
            width: shape.width as u32,
            values: map.values().to_vec(),
        }
    }
}

impl TryFrom<raw::TrainingProgress> for Progress {
    type Error = Error;

    fn try_from(progress: raw::TrainingProgress) -> Result<Self> {
        let phase = match progress.phase() {
            raw::TrainingPhase::Unspecified | raw::TrainingPhase::Queued => TrainingPhase::Queued,
            raw::TrainingPhase::Training => TrainingPhase::Training,
            raw::TrainingPhase::Evaluating => TrainingPhase::Evaluating,
            raw::TrainingPhase::Finished => TrainingPhase::Finished,
        };
        let loss_curve = progress.loss_curve.iter().map(|p| LossPoint { step: p.step, loss: p.loss }).collect();
        Ok(Self {
            phase,
            epoch: progress.epoch,
            epoch_count: progress.epoch_count,
            step: progress.step,
            step_count: progress.step_count,
            loss: progress.loss,
            accuracy: progress.accuracy,
            images_per_second: progress.images_per_second,
            remaining_seconds: progress.remaining_seconds,
            loss_curve,
        })
    }
}

impl From<&Progress> for raw::TrainingProgress {
    fn from(progress: &Progress) -> Self {
        let phase = match progress.phase {
            TrainingPhase::Queued => raw::TrainingPhase::Queued,
            TrainingPhase::Training => raw::TrainingPhase::Training,
            TrainingPhase::Evaluating => raw::TrainingPhase::Evaluating,
            TrainingPhase::Finished => raw::TrainingPhase::Finished,
        };
        Self {
            phase: phase.into(),
            epoch: progress.epoch,
            epoch_count: progress.epoch_count,
            step: progress.step,
            step_count: progress.step_count,
            loss: progress.loss,
            accuracy: progress.accuracy,
            images_per_second: progress.images_per_second,
            remaining_seconds: progress.remaining_seconds,
            loss_curve: progress.loss_curve.iter().map(|p| raw::LossPoint { step: p.step, loss: p.loss }).collect(),
        }
    }
}
