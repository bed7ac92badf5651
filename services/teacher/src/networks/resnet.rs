//! ResNet-50 (He et al. 2015) with torchvision's names, for images of any channel count. On 28×28 its
//! last stage works on single pixels, which makes a forward pass some 25 times cheaper than usual.

use domain::{ImageShape, Result};
use tch::{Kind, Tensor};

use super::{
    Layers, Trainable,
    builder::{Builder, ConvSpec},
    convolution::{ConvBn, Convolution, Dense, Mode, plain_layout},
    packed::{PackedConv, Sides},
};

/// Blocks, inner channels and stride of each stage.
const STAGES: [(usize, i64, i64); 4] = [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)];
/// A block's output has so many times its inner channels.
const EXPANSION: i64 = 4;

/// A bottleneck: 1×1 down, 3×3, 1×1 up, added to the input.
struct Block<C> {
    reduce: C,
    middle: C,
    expand: C,
    /// Where the input has another size than the output.
    shortcut: Option<C>,
}

/// The network over one kind of convolution.
pub struct Resnet50<C> {
    stem: C,
    blocks: Vec<Block<C>>,
    head: Dense,
}

impl Resnet50<ConvBn> {
    /// Asks for every variable by its torchvision name.
    pub fn build(builder: &mut Builder, shape: ImageShape, label_count: usize) -> Result<Self> {
        let inputs = shape.channels as i64;
        let stem =
            ConvSpec { convolution: "conv1", norm: "bn1", inputs, outputs: 64, kernel: 7, stride: 2, scale: 1.0 };
        let stem = builder.convolution(&stem)?;
        let mut blocks = Vec::new();
        let mut inputs = 64;
        for (stage, &(count, inner, stride)) in STAGES.iter().enumerate() {
            for index in 0..count {
                let path = format!("layer{}.{index}", stage + 1);
                let stride = if index == 0 { stride } else { 1 };
                blocks.push(Block::build(builder, &path, inputs, inner, stride)?);
                inputs = inner * EXPANSION;
            }
        }
        let head = builder.dense("fc", inputs, label_count)?;
        Ok(Self { stem, blocks, head })
    }
}

impl Block<ConvBn> {
    fn build(builder: &mut Builder, path: &str, inputs: i64, inner: i64, stride: i64) -> Result<Self> {
        let outputs = inner * EXPANSION;
        let mut layer = |convolution, norm, inputs, outputs, kernel, stride, scale| {
            let (convolution, norm) = (&*format!("{path}.{convolution}"), &*format!("{path}.{norm}"));
            builder.convolution(&ConvSpec { convolution, norm, inputs, outputs, kernel, stride, scale })
        };
        let reduce = layer("conv1", "bn1", inputs, inner, 1, 1, 1.0)?;
        let middle = layer("conv2", "bn2", inner, inner, 3, stride, 1.0)?;
        let expand = layer("conv3", "bn3", inner, outputs, 1, 1, 0.0)?;
        let shortcut = if inputs != outputs || stride != 1 {
            Some(layer("downsample.0", "downsample.1", inputs, outputs, 1, stride, 1.0)?)
        } else {
            None
        };
        Ok(Self { reduce, middle, expand, shortcut })
    }

    fn packed(&self, kind: Kind, sides: &mut Sides) -> Block<PackedConv> {
        let mut shortcut_sides = *sides;
        let shortcut = self.shortcut.as_ref().map(|layer| PackedConv::new(layer, kind, &mut shortcut_sides));
        let reduce = PackedConv::new(&self.reduce, kind, sides);
        let middle = PackedConv::new(&self.middle, kind, sides);
        let expand = PackedConv::new(&self.expand, kind, sides);
        Block { reduce, middle, expand, shortcut }
    }
}

impl<C: Convolution> Block<C> {
    fn apply(&self, x: &Tensor, mode: Mode) -> Tensor {
        let y = self.reduce.apply(x, mode).relu_();
        let y = self.middle.apply(&y, mode).relu_();
        let mut y = self.expand.apply(&y, mode);
        match &self.shortcut {
            Some(shortcut) => y.g_add_(&shortcut.apply(x, mode)).relu_(),
            None => y.g_add_(x).relu_(),
        }
    }
}

impl<C: Convolution> Layers for Resnet50<C> {
    fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let x = self.stem.apply(images, mode).relu_();
        let mut x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        for block in &self.blocks {
            x = block.apply(&x, mode);
        }
        let x = plain_layout(x).to_kind(self.head.weight.kind()); // [image, 2048, row, column]
        self.head.apply(&x.mean_dim(&[2i64, 3][..], false, None))
    }
}

impl Trainable for Resnet50<ConvBn> {
    fn packed(&self, kind: Kind, sides: (i64, i64)) -> Box<dyn Layers> {
        let mut sides = Sides::new(sides);
        let stem = PackedConv::new(&self.stem, kind, &mut sides);
        sides.shrink(3, 2, 1);
        let blocks = self.blocks.iter().map(|block| block.packed(kind, &mut sides)).collect();
        Box::new(Resnet50 { stem, blocks, head: self.head.frozen() })
    }
}
