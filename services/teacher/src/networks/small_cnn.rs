//! Two convolutions and a dense layer: trains in seconds on one thread, for tests and first looks.

use domain::{ImageShape, Result};
use tch::{Kind, Tensor};

use super::{
    Layers, Trainable,
    builder::{Builder, ConvSpec},
    convolution::{ConvBn, Convolution, Dense, Mode, plain_layout},
    packed::{PackedConv, Sides},
};

/// Channels after each convolution.
const CHANNELS: [i64; 2] = [16, 32];
/// Side of the kernels; padded by half of it.
const KERNEL: i64 = 5;
/// Each convolution halves the image.
const STRIDE: i64 = 2;

/// The network over one kind of convolution.
pub struct SmallCnn<C> {
    first: C,
    second: C,
    head: Dense,
}

impl SmallCnn<ConvBn> {
    /// Asks for every variable by name.
    pub fn build(builder: &mut Builder, shape: ImageShape, label_count: usize) -> Result<Self> {
        let mut layer = |convolution, norm, inputs, outputs| {
            let (kernel, stride, scale) = (KERNEL, STRIDE, 1.0);
            builder.convolution(&ConvSpec { convolution, norm, inputs, outputs, kernel, stride, scale })
        };
        let first = layer("conv1", "bn1", shape.channels as i64, CHANNELS[0])?;
        let second = layer("conv2", "bn2", CHANNELS[0], CHANNELS[1])?;
        let mut sides = Sides::new((shape.height as i64, shape.width as i64));
        sides.shrink(KERNEL, STRIDE, KERNEL / 2);
        sides.shrink(KERNEL, STRIDE, KERNEL / 2);
        let head = builder.dense("fc", CHANNELS[1] * sides.area(), label_count)?;
        Ok(Self { first, second, head })
    }
}

impl<C: Convolution> Layers for SmallCnn<C> {
    fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let x = self.first.apply(images, mode).relu_();
        let x = self.second.apply(&x, mode).relu_();
        // Row-major before flattening: the dense layer counts channel by channel, whatever the strides.
        let x = plain_layout(x).contiguous(); // [image, 32, row, column]
        self.head.apply(&x.flatten(1, -1))
    }
}

impl Trainable for SmallCnn<ConvBn> {
    fn packed(&self, kind: Kind, sides: (i64, i64)) -> Box<dyn Layers> {
        let mut sides = Sides::new(sides);
        let first = PackedConv::new(&self.first, kind, &mut sides);
        let second = PackedConv::new(&self.second, kind, &mut sides);
        Box::new(SmallCnn { first, second, head: self.head.frozen() })
    }
}
