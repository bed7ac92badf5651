//! The networks behind the port, in libtorch: what they are made of, and how one is built. Training and
//! serving know them by the trait alone. Tensor lines here may panic; their callers contain that.

pub mod builder;
pub mod convolution;
pub mod packed;
pub mod resnet;
pub mod small_cnn;

use domain::{Architecture, ImageBatch, ImageShape, Result};
use tch::{Device, Kind, Tensor};
use torch::{Checkpoint, Parameters, tensors};

use self::{builder::Builder, convolution::Mode, resnet::Resnet50, small_cnn::SmallCnn};

/// Layers that end in one logit a label.
pub trait Layers: Send {
    /// `[image, channel, row, column]`, normalized, of the kind to compute in → `[image, label]` f32.
    fn forward(&self, images: &Tensor, mode: Mode) -> Tensor;
}

/// Layers that can be trained.
pub trait Trainable: Layers {
    /// A copy for inference in `kind`, for images of `sides` (height, width).
    fn packed(&self, kind: Kind, sides: (i64, i64)) -> Box<dyn Layers>;
}

/// A network with all of its variables, in f32.
pub struct Network {
    /// The layers.
    pub layers: Box<dyn Trainable>,
    /// Every variable by name: torchvision's names, and the normalization.
    pub parameters: Parameters,
    /// Shape of the images it reads.
    pub shape: ImageShape,
    /// Number of classes.
    pub label_count: usize,
    /// Gray level that becomes 0, in `[0, 1]`: `[channel, 1, 1]`.
    mean: Tensor,
    /// Gray levels that become 1: `[channel, 1, 1]`.
    deviation: Tensor,
}

impl Network {
    /// A new network. One seed gives the same weights on every machine. `training_images` set the
    /// normalization, which stays with the weights from then on.
    pub fn random(
        architecture: Architecture,
        label_count: usize,
        seed: u64,
        training_images: &ImageBatch,
        device: Device,
    ) -> Result<Self> {
        let network = Self::build(architecture, training_images.shape(), label_count, Builder::random(seed, device))?;
        let statistics = PixelStatistics::of(training_images);
        let fill = |tensor: &Tensor, values: &[f64]| {
            tensor.shallow_clone().copy_(&Tensor::from_slice(values).view([-1, 1, 1]));
        };
        torch::contain(|| {
            fill(&network.mean, &statistics.mean);
            fill(&network.deviation, &statistics.deviation);
            Ok(())
        })?;
        Ok(network)
    }

    /// A network with stored weights. Names, shapes and kinds are checked.
    pub fn stored(
        architecture: Architecture,
        shape: ImageShape,
        label_count: usize,
        checkpoint: &Checkpoint,
        device: Device,
    ) -> Result<Self> {
        let network = Self::build(architecture, shape, label_count, Builder::blank(device))?;
        network.parameters.load(checkpoint)?;
        Ok(network)
    }

    fn build(architecture: Architecture, shape: ImageShape, label_count: usize, mut builder: Builder) -> Result<Self> {
        let per_channel = [shape.channels as i64, 1, 1];
        let mean = builder.buffer("normalization.mean", &per_channel, 0.0)?;
        let deviation = builder.buffer("normalization.deviation", &per_channel, 1.0)?;
        let layers: Box<dyn Trainable> = match architecture {
            Architecture::Resnet50 => Box::new(Resnet50::build(&mut builder, shape, label_count)?),
            Architecture::SmallCnn => Box::new(SmallCnn::build(&mut builder, shape, label_count)?),
        };
        Ok(Self { layers, parameters: builder.finish(), shape, label_count, mean, deviation })
    }

    /// Where its variables live.
    pub fn device(&self) -> Device {
        self.parameters.device()
    }

    /// Packed bytes → `[image, channel, row, column]`, normalized f32.
    pub fn read(&self, images: &ImageBatch) -> Result<Tensor> {
        Ok(self.normalize(&tensors::from_images(images, Kind::Float, self.device())?))
    }

    /// `[image, channel, row, column]` in `[0, 1]` → the same, normalized. Lets gradients through.
    pub fn normalize(&self, unit_pixels: &Tensor) -> Tensor {
        (unit_pixels - &self.mean) / &self.deviation
    }
}

/// Mean and standard deviation of pixels in `[0, 1]`, channel by channel.
#[derive(Debug, Clone, PartialEq)]
struct PixelStatistics {
    mean: Vec<f64>,
    /// 1 where all pixels are equal.
    deviation: Vec<f64>,
}

impl PixelStatistics {
    fn of(images: &ImageBatch) -> Self {
        let ImageShape { channels, height, width } = images.shape();
        let mut statistics = Self { mean: Vec::new(), deviation: Vec::new() };
        for channel in 0..channels {
            let plane = channel * height * width..(channel + 1) * height * width;
            let mut counts = [0u64; 256];
            for image in images.iter() {
                image[plane.clone()].iter().for_each(|&pixel| counts[usize::from(pixel)] += 1);
            }
            let total = ((images.len() * height * width) as f64).max(1.0);
            let levels = || counts.iter().enumerate().map(|(level, &n)| (level as f64 / 255.0, n as f64 / total));
            let mean: f64 = levels().map(|(level, share)| level * share).sum();
            let variance: f64 = levels().map(|(level, share)| (level - mean).powi(2) * share).sum();
            statistics.mean.push(mean);
            statistics.deviation.push(if variance > 1e-12 { variance.sqrt() } else { 1.0 });
        }
        statistics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixel_statistics_are_those_of_each_channel() {
        let shape = ImageShape::new(2, 1, 2).unwrap();
        let images = ImageBatch::new(shape, vec![0, 255, 51, 51, 255, 0, 51, 51]).unwrap();
        let statistics = PixelStatistics::of(&images);
        for (got, want) in statistics.mean.iter().chain(&statistics.deviation).zip([0.5, 0.2, 0.5, 1.0]) {
            assert!((got - want).abs() < 1e-9, "{got} is not {want}");
        }
    }
}
