//! What an autoencoder promises to the rest of the service, and what is made of its answers: rounding to
//! images, and the residual that keeps a neighborhood centered on the instance itself.

use domain::{Error, Image, ImageBatch, ImageShape, Latent, Result};

/// The port. Built on its engine thread and used there alone, so it need not be `Send`.
///
/// Answers must not depend on what else is in the call: an image's latent and a point's pixels are the
/// same bits alone, in any company and at any place.
pub trait Autoencoder: 'static {
    /// Of every image it reads and makes.
    fn shape(&self) -> ImageShape;

    /// Coordinates of a latent point, at least 1.
    fn dimension_count(&self) -> usize;

    /// One posterior an image. The images have the shape.
    fn encode(&self, images: &ImageBatch) -> Result<Vec<Latent>>;

    /// Pixels in `[0, 1]`, image after image. The points have the dimensions.
    fn decode(&self, points: &[Vec<f32>]) -> Result<Vec<f32>>;
}

/// What the autoencoder cannot reproduce of an instance: x0 − dec(z0), a value in `[-1, 1]` a pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Residual(Vec<f32>);

impl Residual {
    /// `decoded_mean` is dec(z0), the decoded posterior mean of the instance.
    pub fn new(instance: &Image, decoded_mean: &[f32]) -> Result<Self> {
        if decoded_mean.len() != instance.pixels().len() {
            let (got, expected) = (decoded_mean.len(), instance.pixels().len());
            return Err(Error::unexpected(format!("{got} decoded pixels for an instance of {expected}")));
        }
        let difference = |(&pixel, &decoded): (&u8, &f32)| f32::from(pixel) / 255.0 - decoded;
        Ok(Self(instance.pixels().iter().zip(decoded_mean).map(difference).collect()))
    }

    /// Adds the residual to decoded images, x' = dec(z') + x0 − dec(z0), before they are rounded.
    pub fn add_to(&self, decoded: &mut [f32]) {
        for image in decoded.chunks_exact_mut(self.0.len()) {
            self.add_share(image, 1.0);
        }
    }

    /// Adds a share of the residual, in `[0, 1]`, to one decoded image.
    pub fn add_share(&self, image: &mut [f32], share: f32) {
        for (pixel, residual) in image.iter_mut().zip(&self.0) {
            *pixel += share * residual;
        }
    }
}

/// Clips to `[0, 1]` and rounds to bytes, half away from zero: the images that everyone uses from here on.
pub fn rounded(shape: ImageShape, decoded: &[f32]) -> Result<ImageBatch> {
    if let Some(position) = decoded.iter().position(|value| !value.is_finite()) {
        return Err(Error::unexpected(format!("decoded value {position} is not finite")));
    }
    let pixels = decoded.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    ImageBatch::new(shape, pixels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_anchored_center_is_the_instance_itself(
            pixels in prop::collection::vec(any::<u8>(), 16),
            decoded in prop::collection::vec(0.0f32..=1.0, 16),
        ) {
            let instance = Image::new(ImageShape::gray(4, 4), pixels).unwrap();
            let residual = Residual::new(&instance, &decoded).unwrap();
            let mut center = decoded;
            residual.add_to(&mut center);
            prop_assert_eq!(rounded(instance.shape(), &center).unwrap().image(0).unwrap(), instance);
        }
    }

    #[test]
    fn each_decoded_image_gets_the_whole_residual() {
        let instance = Image::new(ImageShape::gray(1, 2), vec![255, 0]).unwrap();
        let residual = Residual::new(&instance, &[0.75, 0.5]).unwrap();
        let mut decoded = [0.0, 0.5, 1.0, 1.0];
        residual.add_to(&mut decoded);
        assert_eq!(decoded, [0.25, 0.0, 1.25, 0.5]);
        assert_eq!(rounded(instance.shape(), &decoded).unwrap().pixels(), [64, 0, 255, 128]);
    }

    #[test]
    fn a_decoder_that_answers_nan_or_too_little_is_our_bug() {
        let shape = ImageShape::gray(1, 1);
        assert!(matches!(rounded(shape, &[f32::NAN]), Err(Error::Unexpected(_))));
        let instance = Image::new(shape, vec![0]).unwrap();
        assert!(matches!(Residual::new(&instance, &[]), Err(Error::Unexpected(_))));
    }
}
