//! Portable randomness: a draw is named by (seed, stream, position), so a training that resumes needs
//! no generator state, and the same seed gives the same weights on every machine.

use domain::{Error, Result};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use tch::Tensor;

/// One stream of a seeded ChaCha generator.
#[derive(Debug, Clone)]
pub struct Randomness {
    generator: ChaCha8Rng,
    /// Box–Muller makes two values at once; the second waits here.
    spare: Option<f64>,
}

impl Randomness {
    /// Streams of one seed are independent: give each purpose, epoch or step its own.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self { generator, spare: None }
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal, by Box and Muller (1958).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 - u is in (0, 1], so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }

    /// The numbers below `count` in random order (Fisher–Yates).
    pub fn permutation(&mut self, count: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..count as i64).collect();
        for last in (1..count).rev() {
            // The bias of a multiply-shift draw is below count / 2^64.
            let pick = ((u128::from(self.generator.next_u64()) * (last as u128 + 1)) >> 64) as usize;
            order.swap(last, pick);
        }
        order
    }

    /// A tensor of standard normals, f32.
    pub fn normal_tensor(&mut self, shape: &[i64]) -> Result<Tensor> {
        self.tensor(shape, |random| random.normal() as f32)
    }

    /// A tensor of uniform values in `[low, high)`, f32.
    pub fn uniform_tensor(&mut self, shape: &[i64], low: f64, high: f64) -> Result<Tensor> {
        self.tensor(shape, |random| (low + (high - low) * random.uniform()) as f32)
    }

    fn tensor(&mut self, shape: &[i64], mut draw: impl FnMut(&mut Self) -> f32) -> Result<Tensor> {
        let count: i64 = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| draw(self)).collect();
        Tensor::f_from_slice(&values).and_then(|flat| flat.f_view(shape)).map_err(Error::unexpected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_named_by_seed_and_stream() {
        let draw = |seed, stream| Randomness::new(seed, stream).permutation(100);
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        let mut order = Randomness::new(3, 0).permutation(1_000);
        order.sort_unstable();
        assert_eq!(order, (0..1_000).collect::<Vec<i64>>());
    }

    #[test]
    fn normals_have_the_moments_of_a_standard_normal() {
        let mut random = Randomness::new(5, 0);
        let values: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let moment = |power| values.iter().map(|value| value.powi(power)).sum::<f64>() / values.len() as f64;
        // Five standard errors of each moment of 100,000 draws: sqrt(1, 2, 15, 96 / n).
        for (power, expected, tolerance) in [(1, 0.0, 0.016), (2, 1.0, 0.022), (3, 0.0, 0.061), (4, 3.0, 0.155)] {
            assert!((moment(power) - expected).abs() < tolerance, "moment {power} is {}", moment(power));
        }
    }
}
