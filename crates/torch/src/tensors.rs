//! Between the domain's words and tensors: images, logits, heatmaps. Shapes and kinds are checked here,
//! so that a network can rely on [image, channel, row, column].

use domain::{Error, Heatmap, ImageBatch, ImageShape, Logits, Result};
use tch::{Device, Kind, Tensor};

/// Images as [image, channel, row, column] in `[0, 1]`, of kind `Float` or `BFloat16`.
pub fn from_images(images: &ImageBatch, kind: Kind, device: Device) -> Result<Tensor> {
    let ImageShape { channels, height, width } = images.shape();
    let size = [images.len() as i64, channels as i64, height as i64, width as i64];
    // Divided in f32: 1/255 steps are not exact in bf16 otherwise.
    Tensor::f_from_data_size(images.pixels(), &size, Kind::Uint8)
        .and_then(|bytes| bytes.f_to_device(device))
        .and_then(|bytes| bytes.f_to_kind(Kind::Float))
        .and_then(|values| values.f_div_scalar(255.0))
        .and_then(|values| values.f_to_kind(kind))
        .map_err(Error::unexpected)
}

/// Images from [image, ...] in `[0, 1]`: clipped, and rounded half away from zero.
pub fn to_images(values: &Tensor, shape: ImageShape) -> Result<ImageBatch> {
    let pixels = to_floats(values)?.into_iter().map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8).collect();
    ImageBatch::new(shape, pixels)
}

/// All values of a tensor as f32, row-major. NaN and infinity pass: look before you use them.
pub fn to_floats(values: &Tensor) -> Result<Vec<f32>> {
    let copy = || -> std::result::Result<Vec<f32>, tch::TchError> {
        let values = values.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
        let mut floats = vec![0.0; values.numel()];
        values.f_copy_data(&mut floats, values.numel())?;
        Ok(floats)
    };
    copy().map_err(Error::unexpected)
}

/// One signed map from a tensor that fills `shape`. A value that is not finite is our bug.
pub fn to_heatmap(values: &Tensor, shape: ImageShape) -> Result<Heatmap> {
    Heatmap::new(shape, to_floats(values)?).map_err(Error::unexpected)
}

/// Logits from [image, label]. A value that is not finite is our bug.
pub fn to_logits(values: &Tensor) -> Result<Vec<Logits>> {
    let (_, label_count) = values.size2().map_err(Error::unexpected)?;
    let floats = to_floats(values)?;
    floats
        .chunks_exact(label_count.max(1) as usize)
        .map(|row| Logits::new(row.to_vec()))
        .collect::<Result<_>>()
        .map_err(Error::unexpected)
}

/// The same values with channel-last strides, in which convolutions on the CPU are quickest. The shape
/// stays [image, channel, row, column].
pub fn channels_last(values: &Tensor) -> Result<Tensor> {
    values
        .f_permute([0, 2, 3, 1])
        .and_then(|moved| moved.f_contiguous())
        .and_then(|moved| moved.f_permute([0, 3, 1, 2]))
        .map_err(Error::unexpected)
}

/// What a network wants its pixels shifted and scaled by, one value a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// Subtracted.
    pub mean: Vec<f64>,
    /// Divided by, above 0.
    pub standard_deviation: Vec<f64>,
}

impl Normalization {
    /// MNIST's, as everyone uses them: mean and deviation of its 60,000 training images.
    pub fn mnist() -> Self {
        Self { mean: vec![0.1307], standard_deviation: vec![0.3081] }
    }

    /// Normalizes [image, channel, row, column] in `[0, 1]`; kind and device stay.
    pub fn apply(&self, images: &Tensor) -> Result<Tensor> {
        let per_channel = |values: &[f64]| {
            Tensor::f_from_slice(values)
                .and_then(|flat| flat.f_view([1, values.len() as i64, 1, 1]))
                .and_then(|values| values.f_to_device(images.device()))
                .and_then(|values| values.f_to_kind(images.kind()))
        };
        let normalize = || images.f_sub(&per_channel(&self.mean)?)?.f_div(&per_channel(&self.standard_deviation)?);
        normalize().map_err(Error::unexpected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray() -> ImageBatch {
        ImageBatch::new(ImageShape::gray(16, 16), (0..=255).collect()).unwrap()
    }

    #[test]
    fn every_byte_survives_the_way_to_a_tensor_and_back() {
        let tensor = from_images(&gray(), Kind::Float, Device::Cpu).unwrap();
        assert_eq!(tensor.size(), [1, 1, 16, 16]);
        assert_eq!(to_images(&tensor, gray().shape()).unwrap(), gray());
    }

    #[test]
    fn values_outside_the_unit_interval_are_clipped() {
        let tensor = Tensor::from_slice(&[-1.0f32, 0.5, 2.0, 0.001]);
        let images = to_images(&tensor, ImageShape::gray(2, 2)).unwrap();
        assert_eq!(images.pixels(), [0, 128, 255, 0]);
    }

    #[test]
    fn normalization_is_per_channel() {
        let pixels = Tensor::from_slice(&[0.5f32, 0.5]).view([1, 2, 1, 1]);
        let both = Normalization { mean: vec![0.0, 0.5], standard_deviation: vec![0.5, 1.0] };
        assert_eq!(to_floats(&both.apply(&pixels).unwrap()).unwrap(), [1.0, 0.0]);
    }

    #[test]
    fn channels_last_changes_strides_and_nothing_else() {
        let values = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([1, 2, 3, 4]);
        let moved = channels_last(&values).unwrap();
        assert_eq!((moved.size(), moved.stride()), (vec![1, 2, 3, 4], vec![24, 1, 8, 2]));
        assert_eq!(to_floats(&moved).unwrap(), to_floats(&values).unwrap());
    }

    #[test]
    fn nan_logits_are_our_bug_and_not_the_callers() {
        let values = Tensor::from_slice(&[f32::NAN, 0.0]).view([1, 2]);
        assert!(matches!(to_logits(&values), Err(Error::Unexpected(_))));
    }
}
