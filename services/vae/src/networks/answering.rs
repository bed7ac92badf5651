//! The network behind the service's port: the same bits for an image or a point in any company.

use domain::{Error, ImageBatch, ImageShape, Latent, Result};
use tch::{Kind, Tensor};
use torch::tensors;

use super::Perceptrons;
use crate::vae::Autoencoder;

/// Rows of every matrix product that answers a call. Fewer are padded: a product of another size may
/// add up in another order, and an image's answer must not depend on its company.
const BLOCK: usize = 128;

impl Autoencoder for Perceptrons {
    fn shape(&self) -> ImageShape {
        self.sizes.shape
    }

    fn dimension_count(&self) -> usize {
        self.sizes.dimension_count
    }

    fn encode(&self, images: &ImageBatch) -> Result<Vec<Latent>> {
        let _guard = tch::no_grad_guard();
        let dimension_count = self.sizes.dimension_count;
        let mut latents = Vec::with_capacity(images.len());
        for start in (0..images.len()).step_by(BLOCK) {
            let block = images.slice(start, start + BLOCK);
            let pixels = tensors::from_images(&block, Kind::Float, self.parameters.device())?.flatten(1, -1);
            let (mean, log_variance) = self.posterior(&padded(&pixels));
            let (mean, log_variance) = (tensors::to_floats(&mean)?, tensors::to_floats(&log_variance)?);
            let rows = mean.chunks_exact(dimension_count).zip(log_variance.chunks_exact(dimension_count));
            for (mean, log_variance) in rows.take(block.len()) {
                latents.push(Latent::new(mean.to_vec(), log_variance.to_vec()).map_err(Error::unexpected)?);
            }
        }
        Ok(latents)
    }

    fn decode(&self, points: &[Vec<f32>]) -> Result<Vec<f32>> {
        let _guard = tch::no_grad_guard();
        let pixel_count = self.sizes.shape.pixel_count();
        let mut pixels = Vec::with_capacity(points.len() * pixel_count);
        for block in points.chunks(BLOCK) {
            let coordinates = Tensor::from_slice(&block.concat()).view([block.len() as i64, -1]);
            let decoded = self.logits(&padded(&coordinates.to_device(self.parameters.device()))).sigmoid();
            let decoded = tensors::to_floats(&decoded)?;
            pixels.extend_from_slice(&decoded[..block.len() * pixel_count]);
        }
        Ok(pixels)
    }
}

/// [row, column] with zero rows up to [`BLOCK`].
fn padded(rows: &Tensor) -> Tensor {
    let missing = BLOCK as i64 - rows.size()[0];
    rows.constant_pad_nd([0, 0, 0, missing])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::tests::{SIZES, network, points};
    use torch::Randomness;

    #[test]
    fn a_points_image_depends_neither_on_its_company_nor_on_its_place() {
        for thread_count in [1, 2] {
            torch::device::set_thread_count(thread_count);
            let (network, points) = (network(), points(300));
            let together = network.decode(&points).unwrap();
            for (i, point) in points.iter().enumerate() {
                let alone = network.decode(std::slice::from_ref(point)).unwrap();
                assert_eq!(alone, together[i * 784..(i + 1) * 784], "point {i}, {thread_count} threads");
            }
        }
        torch::device::set_thread_count(1);
    }

    #[test]
    fn an_images_latent_depends_neither_on_its_company_nor_on_its_place() {
        torch::device::set_thread_count(1);
        let network = network();
        let mut random = Randomness::new(3, 0);
        let pixels = (0..150 * 784).map(|_| (random.uniform() * 255.0) as u8).collect();
        let images = ImageBatch::new(SIZES.shape, pixels).unwrap();
        let together = network.encode(&images).unwrap();
        for (i, latent) in together.iter().enumerate() {
            assert_eq!(network.encode(&images.slice(i, i + 1)).unwrap(), std::slice::from_ref(latent), "image {i}");
        }
    }
}
