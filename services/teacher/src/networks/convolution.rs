//! The layers that networks are made of: a convolution with its batch-norm as it is trained, and the
//! dense layer at the end.

use tch::Tensor;

/// Whether batch-norms use the batch's own statistics and update the running ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The batch's own.
    Train,
    /// The running ones: an image's answer does not depend on its batch mates.
    Evaluate,
}

/// Share of the batch's statistics in the new running ones, as torchvision has it.
const MOMENTUM: f64 = 0.1;
/// Added to the variance under the root, as torchvision has it.
const EPSILON: f64 = 1e-5;

/// A convolution, however it is computed: one walk through a network serves training and inference.
pub trait Convolution: Send {
    /// `[image, channel, row, column]` → the same with other sizes, of the same kind.
    fn apply(&self, x: &Tensor, mode: Mode) -> Tensor;
}

/// A convolution without bias and the batch-norm after it. Variables are f32; the convolution computes
/// in the kind of its input (bf16 over f32 master weights), the batch-norm sums in f32.
pub struct ConvBn {
    /// `[output, input, row, column]`
    pub weight: Tensor,
    /// γ, `[output]`
    pub scale: Tensor,
    /// β, `[output]`
    pub shift: Tensor,
    /// `[output]`
    pub running_mean: Tensor,
    /// `[output]`
    pub running_variance: Tensor,
    /// Same for rows and columns.
    pub stride: i64,
    /// Same on all four sides.
    pub padding: i64,
}

impl ConvBn {
    /// Weights and biases of the one convolution that equals both in evaluation, in f32.
    pub fn folded(&self) -> (Tensor, Tensor) {
        let scale = &self.scale / (&self.running_variance + EPSILON).sqrt(); // [output]
        let weight = &self.weight * scale.view([-1, 1, 1, 1]);
        let bias = &self.shift - &self.running_mean * scale;
        (weight.detach(), bias.detach())
    }
}

impl Convolution for ConvBn {
    fn apply(&self, x: &Tensor, mode: Mode) -> Tensor {
        let weight = self.weight.to_kind(x.kind());
        let y = x.conv2d(&weight, None::<Tensor>, [self.stride; 2], [self.padding; 2], [1, 1], 1);
        y.batch_norm(
            Some(&self.scale),
            Some(&self.shift),
            Some(&self.running_mean),
            Some(&self.running_variance),
            mode == Mode::Train,
            MOMENTUM,
            EPSILON,
            false,
        )
    }
}

/// x Wᵀ + b, in the kind of its weights: f32 also where the convolutions before it compute in bf16.
pub struct Dense {
    /// `[label, input]`
    pub weight: Tensor,
    /// `[label]`
    pub bias: Tensor,
}

impl Dense {
    /// `[image, input]` of any kind → `[image, label]`.
    pub fn apply(&self, x: &Tensor) -> Tensor {
        x.to_kind(self.weight.kind()).linear(&self.weight, Some(&self.bias))
    }

    /// A copy without gradients.
    pub fn frozen(&self) -> Self {
        Self { weight: self.weight.detach().copy(), bias: self.bias.detach().copy() }
    }
}

/// Out of oneDNN's own layout, where it is in it.
pub(super) fn plain_layout(x: Tensor) -> Tensor {
    if x.is_mkldnn() { x.to_dense(None, false) } else { x }
}
