//! A trained network behind the port: a packed copy that answers, and the f32 original for gradients.

use domain::{Error, Image, ImageBatch, Label, Logits, Result};
use tch::{Device, Kind, Tensor};
use torch::{Randomness, device, tensors};

use crate::{
    networks::{Layers, Network, convolution::Mode, packed},
    teacher::{Classifier, Contrast, Description, InputGradient, expect_shape},
};

/// What numbers a packed copy computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// f32.
    Full,
    /// bf16 with f32 sums: twice as quick where the CPU has it in hardware, several times as slow elsewhere.
    Half,
}

impl Precision {
    /// What is quickest on this CPU.
    pub fn quickest() -> Self {
        if device::has_hardware_bf16() { Self::Half } else { Self::Full }
    }

    /// The tensor kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::Full => Kind::Float,
            Self::Half => Kind::BFloat16,
        }
    }
}

/// Smaller shapes that are tried beside the full batch: a single image should not cost 125.
const SMALL_SHAPES: [usize; 2] = [8, 64];
/// Images that two shapes are compared on.
const PROBE_COUNT: usize = 64;

/// A teacher that answers.
pub struct ServedTeacher {
    network: Network,
    packed: Box<dyn Layers>,
    precision: Precision,
    /// Batch sizes that are computed, ascending; the last is the full one. All give the same bits.
    shapes: Vec<usize>,
    description: Description,
}

impl ServedTeacher {
    /// Packs a network. Every batch is padded to `batch_size` (at least 1), or to a smaller shape that
    /// was seen to give the same bits here: oneDNN may choose another algorithm for another shape (it
    /// does for single images), and an image's logits must not depend on its batch mates.
    pub fn new(network: Network, digest: String, precision: Precision, batch_size: usize) -> Result<Self> {
        let batch_size = batch_size.max(1);
        let sides = (network.shape.height as i64, network.shape.width as i64);
        let packed = torch::contain(|| Ok(network.layers.packed(precision.kind(), sides)))?;
        let (shape, label_count, device) = (network.shape, network.label_count, network.device());
        let engine = engine(precision, batch_size, device);
        let gradient_engine = gradient_engine(device);
        let description = Description { shape, label_count, digest, engine, gradient_engine };
        let mut served = Self { network, packed, precision, shapes: vec![batch_size], description };
        served.find_small_shapes()?;
        Ok(served)
    }

    fn find_small_shapes(&mut self) -> Result<()> {
        let shape = self.description.shape;
        let mut random = Randomness::new(0, 0);
        let pixels = (0..PROBE_COUNT * shape.pixel_count()).map(|_| (random.uniform() * 256.0) as u8).collect();
        let probe = ImageBatch::new(shape, pixels)?;
        let expected = self.logits(&probe)?;
        let full = self.shapes[0];
        for small in SMALL_SHAPES.into_iter().filter(|small| *small < full) {
            let starts = (0..PROBE_COUNT).step_by(small);
            let parts: Vec<Vec<Logits>> = starts
                .map(|start| torch::contain(|| self.answer(&probe.slice(start, start + small), small)))
                .collect::<Result<_>>()?;
            if parts.concat() == expected {
                self.shapes.push(small);
            } else {
                tracing::info!(small, full, "a small batch gives other bits here and is not used");
            }
        }
        self.shapes.sort_unstable();
        Ok(())
    }

    /// At most `shape` images, padded with blank paper.
    fn answer(&self, images: &ImageBatch, shape: usize) -> Result<Vec<Logits>> {
        let _guard = tch::no_grad_guard();
        let count = images.len();
        let mut pixels = images.pixels().to_vec();
        pixels.resize(shape * images.shape().pixel_count(), 0);
        let padded = ImageBatch::new(images.shape(), pixels)?;
        let x = packed::enter(self.network.read(&padded)?.to_kind(self.precision.kind()));
        let logits = self.packed.forward(&x, Mode::Evaluate); // [shape, label]
        tensors::to_logits(&logits.narrow(0, 0, count as i64))
    }
}

/// How a network with these settings answers, for people and cache keys.
pub fn engine(precision: Precision, batch_size: usize, device: Device) -> String {
    let numbers = match precision {
        Precision::Full => "f32",
        Precision::Half => "bf16",
    };
    let hardware = match device {
        Device::Cpu => format!("oneDNN, batch {batch_size}, {}", device::cpu_class()),
        other => format!("batch {batch_size}, {other:?}"),
    };
    format!("libtorch {numbers} {hardware}")
}

/// How the unpacked network on this device answers, of which gradients are taken.
fn gradient_engine(device: Device) -> String {
    match device {
        Device::Cpu => format!("libtorch f32 unpacked, {}", device::cpu_class()),
        other => format!("libtorch f32 unpacked, {other:?}"),
    }
}

impl Classifier for ServedTeacher {
    fn description(&self) -> &Description {
        &self.description
    }

    fn logits(&self, images: &ImageBatch) -> Result<Vec<Logits>> {
        expect_shape(images, self.description.shape)?;
        let mut answers = Vec::with_capacity(images.len());
        while answers.len() < images.len() {
            let left = images.len() - answers.len();
            let shape = self.shapes.iter().find(|&&shape| shape >= left).or(self.shapes.last()).copied().unwrap_or(1);
            let chunk = images.slice(answers.len(), answers.len() + shape);
            answers.extend(torch::contain(|| self.answer(&chunk, shape))?);
        }
        Ok(answers)
    }

    fn input_gradient(&self, image: &Image, contrast: Contrast) -> Result<InputGradient> {
        let shape = self.description.shape;
        image.expect_shape(shape)?;
        let single = ImageBatch::from_images(shape, [image])?;
        torch::contain(|| {
            let device = self.network.device();
            let pixels = tensors::from_images(&single, Kind::Float, device)?.set_requires_grad(true);
            let answers = self.network.layers.forward(&self.network.normalize(&pixels), Mode::Evaluate); // [1, label]
            let logits = answers.get(0); // [label]
            let logit = |label: Label| logits.get(i64::from(label.0));
            let score = match contrast.baseline {
                Some(baseline) => logit(contrast.target) - logit(baseline),
                None => logit(contrast.target),
            };
            let gradient = Tensor::run_backward(&[&score], &[&pixels], false, false);
            let answer = tensors::to_logits(&answers.detach())?.pop();
            Ok(InputGradient {
                slopes: tensors::to_heatmap(&gradient[0], shape)?,
                logits: answer.ok_or_else(|| Error::unexpected("no answer to an image"))?,
            })
        })
    }
}
