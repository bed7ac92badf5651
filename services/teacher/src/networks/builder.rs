//! Makes a network's variables as it asks for them by name: drawn from a seed, or blank for stored
//! weights to be put in.

use domain::Result;
use tch::{Device, Kind, Tensor};
use torch::{Parameters, Randomness, init, tensors};

use super::convolution::{ConvBn, Dense};

/// The stream of the seed that weights are drawn from; data order has others.
const WEIGHT_STREAM: u64 = 0;

/// Collects variables in the order in which a network asks for them.
pub struct Builder {
    parameters: Parameters,
    /// `None`: all zero.
    random: Option<Randomness>,
}

/// A convolution and its batch-norm.
pub struct ConvSpec<'a> {
    /// Name of the convolution.
    pub convolution: &'a str,
    /// Name of the batch-norm.
    pub norm: &'a str,
    /// Input channels.
    pub inputs: i64,
    /// Output channels.
    pub outputs: i64,
    /// Side of the kernel.
    pub kernel: i64,
    /// Same for rows and columns.
    pub stride: i64,
    /// Where the batch-norm's scale starts: 0 on the last layer of a residual block, so that the block
    /// starts as the identity (Goyal et al. 2017, §5.1).
    pub scale: f64,
}

impl Builder {
    /// Variables from a seed: the same on every machine.
    pub fn random(seed: u64, device: Device) -> Self {
        Self { parameters: Parameters::new(device), random: Some(Randomness::new(seed, WEIGHT_STREAM)) }
    }

    /// Variables that will be loaded.
    pub fn blank(device: Device) -> Self {
        Self { parameters: Parameters::new(device), random: None }
    }

    /// What was asked for.
    pub fn finish(self) -> Parameters {
        self.parameters
    }

    /// A tensor that is stored with the others but has no gradient.
    pub fn buffer(&mut self, name: &str, shape: &[i64], value: f64) -> Result<Tensor> {
        self.parameters.buffer(name, init::constant(shape, value)?)
    }

    fn trainable(
        &mut self,
        name: String,
        shape: &[i64],
        draw: impl FnOnce(&mut Randomness) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let initial = match &mut self.random {
            Some(random) => draw(random)?,
            None => init::constant(shape, 0.0)?,
        };
        // Training is quickest with channels-last strides; a checkpoint and a digest don't see them.
        let initial = if shape.len() == 4 { tensors::channels_last(&initial)? } else { initial };
        self.parameters.trainable(name, initial)
    }

    /// A convolution, padded so that stride 1 keeps the size, with its batch-norm.
    pub fn convolution(&mut self, spec: &ConvSpec) -> Result<ConvBn> {
        let ConvSpec { convolution, norm, inputs, outputs, kernel, stride, scale } = *spec;
        let shape = [outputs, inputs, kernel, kernel];
        let channels = [outputs];
        Ok(ConvBn {
            weight: self.trainable(format!("{convolution}.weight"), &shape, |random| {
                init::kaiming_normal_fan_out(&shape, random)
            })?,
            scale: self.trainable(format!("{norm}.weight"), &channels, |_| init::constant(&channels, scale))?,
            shift: self.trainable(format!("{norm}.bias"), &channels, |_| init::constant(&channels, 0.0))?,
            running_mean: self.buffer(&format!("{norm}.running_mean"), &channels, 0.0)?,
            running_variance: self.buffer(&format!("{norm}.running_var"), &channels, 1.0)?,
            stride,
            padding: kernel / 2,
        })
    }

    /// The dense layer at the end.
    pub fn dense(&mut self, name: &str, inputs: i64, label_count: usize) -> Result<Dense> {
        let outputs = label_count as i64;
        let shape = [outputs, inputs];
        let weight =
            self.trainable(format!("{name}.weight"), &shape, |random| init::uniform_fan_in(&shape, inputs, random))?;
        let bias = self.trainable(format!("{name}.bias"), &[outputs], |_| init::constant(&[outputs], 0.0))?;
        debug_assert_eq!(weight.kind(), Kind::Float);
        Ok(Dense { weight, bias })
    }
}
