//! Which latent points are drawn around an instance. Pure: the i-th point is a function of the spec, the
//! posterior mean and i, so chunks can be made in any order, and asking for more extends the same set.

use std::ops::Range;

use domain::{Distribution, NeighborhoodSpec, Result};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A Gaussian inside a band is cut off at this many standard deviations: the band's half width.
const BAND_SPREAD: f64 = 2.0;

/// A spec with the instance's place in it.
#[derive(Debug, Clone)]
pub struct Neighborhood {
    generator: ChaCha8Rng,
    axes: Vec<Axis>,
}

/// How one coordinate is drawn.
#[derive(Debug, Clone, Copy)]
enum Axis {
    Uniform { low: f64, high: f64 },
    Gaussian { mean: f64, deviation: f64 },
    TruncatedGaussian { low: f64, high: f64 },
}

impl Neighborhood {
    /// Checks the spec against the autoencoder's dimensions. `posterior_mean` is the center unless the
    /// spec names another.
    pub fn new(spec: &NeighborhoodSpec, posterior_mean: &[f32]) -> Result<Self> {
        spec.validate(Some(posterior_mean.len()))?;
        let center = spec.center.as_deref().unwrap_or(posterior_mean);
        let axes = center.iter().enumerate().map(|(dimension, &center)| axis(spec, dimension, f64::from(center)));
        Ok(Self { generator: ChaCha8Rng::seed_from_u64(spec.seed), axes: axes.collect() })
    }

    /// The points of these neighbors, one coordinate a dimension.
    pub fn points(&self, indices: Range<usize>) -> Vec<Vec<f32>> {
        indices.map(|index| self.point(index)).collect()
    }

    /// Each neighbor has a stream of the generator to itself and each coordinate one block of it, so that
    /// a band on one axis leaves the noise on all others as it was.
    fn point(&self, index: usize) -> Vec<f32> {
        let mut generator = self.generator.clone();
        generator.set_stream(index as u64);
        self.axes.iter().map(|axis| axis.draw(Block::of(&mut generator)) as f32).collect()
    }
}

fn axis(spec: &NeighborhoodSpec, dimension: usize, center: f64) -> Axis {
    let radius = f64::from(spec.radius);
    let range = spec.ranges.iter().find(|range| range.dimension == dimension);
    let band = range.map(|range| (f64::from(range.low), f64::from(range.high)));
    match (spec.distribution, band) {
        (Distribution::Uniform, None) => Axis::Uniform { low: center - radius, high: center + radius },
        (Distribution::Uniform, Some((low, high))) => Axis::Uniform { low, high },
        (Distribution::Gaussian, None) => Axis::Gaussian { mean: center, deviation: radius },
        (Distribution::Gaussian, Some((low, high))) => Axis::TruncatedGaussian { low, high },
    }
}

impl Axis {
    fn draw(self, mut block: Block) -> f64 {
        match self {
            Self::Uniform { low, high } => low + (high - low) * block.uniforms().0,
            Self::Gaussian { mean, deviation } => mean + deviation * block.normals().0,
            Self::TruncatedGaussian { low, high } => {
                let (middle, half_width) = ((low + high) / 2.0, (high - low) / 2.0);
                let inside = |normal: &f64| normal.abs() <= BAND_SPREAD;
                // A pair misses with probability 0.002, so four pairs with 2e-11: then the middle will do.
                let pairs = (0..Block::PAIR_COUNT).flat_map(|_| {
                    let (first, second) = block.normals();
                    [first, second]
                });
                let normal = pairs.take(2 * Block::PAIR_COUNT).find(inside).unwrap_or(0.0);
                (middle + half_width * normal / BAND_SPREAD).clamp(low, high)
            }
        }
    }
}

/// The 16 words of one ChaCha block: four pairs of 64-bit numbers.
struct Block {
    words: [u32; 16],
    used: usize,
}

impl Block {
    const PAIR_COUNT: usize = 4;

    fn of(generator: &mut ChaCha8Rng) -> Self {
        Self { words: std::array::from_fn(|_| generator.next_u32()), used: 0 }
    }

    /// Two numbers in `[0, 1)`, 53 bits each.
    fn uniforms(&mut self) -> (f64, f64) {
        let mut next = || {
            let (low, high) = (self.words[self.used], self.words[self.used + 1]);
            self.used += 2;
            ((u64::from(high) << 32 | u64::from(low)) >> 11) as f64 / (1u64 << 53) as f64
        };
        (next(), next())
    }

    /// Two standard normals, by Box and Muller (1958).
    fn normals(&mut self) -> (f64, f64) {
        let (first, second) = self.uniforms();
        // 1 - u is in (0, 1], so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - first).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * second).sin_cos();
        (radius * cosine, radius * sine)
    }
}

#[cfg(test)]
mod tests {
    use domain::LatentRange;
    use proptest::prelude::*;

    use super::*;

    const MEAN: [f32; 3] = [0.0, 1.0, -2.0];

    fn spec(distribution: Distribution) -> NeighborhoodSpec {
        NeighborhoodSpec { distribution, ..Default::default() }
    }

    fn points(spec: &NeighborhoodSpec, indices: Range<usize>) -> Vec<Vec<f32>> {
        Neighborhood::new(spec, &MEAN).unwrap().points(indices)
    }

    fn distributions() -> impl Strategy<Value = Distribution> {
        prop_oneof![Just(Distribution::Uniform), Just(Distribution::Gaussian)]
    }

    proptest! {
        #[test]
        fn chunks_are_parts_of_one_set(seed: u64, cut in 0usize..100, distribution in distributions()) {
            let spec = NeighborhoodSpec { seed, ..spec(distribution) };
            let mut parts = points(&spec, 0..cut);
            parts.extend(points(&spec, cut..100));
            prop_assert_eq!(&parts, &points(&spec, 0..100));
            let more = NeighborhoodSpec { neighbor_count: 10_000, ..spec };
            prop_assert_eq!(&parts, &points(&more, 0..100));
        }

        #[test]
        fn a_band_holds_its_axis_and_leaves_the_others(
            low in -5.0f32..5.0, width in 0.0f32..5.0, dimension in 0usize..3, distribution in distributions(),
        ) {
            let free = spec(distribution);
            let range = LatentRange { dimension, low, high: low + width };
            let banded = NeighborhoodSpec { ranges: vec![range], ..free.clone() };
            for (banded, free) in points(&banded, 0..200).iter().zip(points(&free, 0..200)) {
                for axis in 0..3 {
                    if axis == dimension {
                        prop_assert!((range.low..=range.high).contains(&banded[axis]));
                    } else {
                        prop_assert_eq!(banded[axis], free[axis]);
                    }
                }
            }
        }

        #[test]
        fn uniform_neighbors_stay_within_the_radius(radius in 0.01f32..5.0, seed: u64) {
            let spec = NeighborhoodSpec { radius, seed, ..spec(Distribution::Uniform) };
            for point in points(&spec, 0..100) {
                for (value, mean) in point.iter().zip(MEAN) {
                    prop_assert!((value - mean).abs() <= radius * 1.000_001);
                }
            }
        }
    }

    /// Mean and standard deviation of the first coordinate over 20,000 neighbors.
    fn moments(spec: &NeighborhoodSpec) -> (f64, f64) {
        let values: Vec<f64> = points(spec, 0..20_000).iter().map(|point| f64::from(point[0])).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    fn check_moments(spec: &NeighborhoodSpec, mean: f64, deviation: f64) {
        let found = moments(spec);
        // Five standard errors of a mean of 20,000; a deviation's is smaller.
        let tolerance = 5.0 * deviation / 20_000f64.sqrt();
        assert!((found.0 - mean).abs() < tolerance, "mean {} is not {mean}", found.0);
        assert!((found.1 - deviation).abs() < tolerance, "deviation {} is not {deviation}", found.1);
    }

    #[test]
    fn noise_has_the_spread_that_was_asked_for() {
        check_moments(&spec(Distribution::Uniform), 0.0, 0.5 / 3f64.sqrt());
        check_moments(&spec(Distribution::Gaussian), 0.0, 0.5);
        let ranges = vec![LatentRange { dimension: 0, low: -1.0, high: 3.0 }];
        check_moments(
            &NeighborhoodSpec { ranges: ranges.clone(), ..spec(Distribution::Uniform) },
            1.0,
            2.0 / 3f64.sqrt(),
        );
        // Closed form of a normal cut at ±2: variance 1 - 4 φ(2) / (2 Φ(2) - 1) = 0.7737.
        let truncated = NeighborhoodSpec { ranges, ..spec(Distribution::Gaussian) };
        check_moments(&truncated, 1.0, 0.773_74f64.sqrt());
    }

    #[test]
    fn another_center_moves_every_neighbor_by_the_same_step() {
        let moved = NeighborhoodSpec { center: Some(vec![1.0, 2.0, -1.0]), ..spec(Distribution::Uniform) };
        for (moved, original) in points(&moved, 0..50).iter().zip(points(&spec(Distribution::Uniform), 0..50)) {
            assert!(moved.iter().zip(&original).all(|(a, b)| (a - b - 1.0).abs() < 1e-6));
        }
    }

    #[test]
    fn a_range_beyond_the_dimensions_is_refused() {
        let ranges = vec![LatentRange { dimension: 3, low: 0.0, high: 1.0 }];
        assert!(Neighborhood::new(&NeighborhoodSpec { ranges, ..Default::default() }, &MEAN).is_err());
    }

    /// The oracle is a second implementation, in Python, of PCG32's seed expansion, ChaCha8 and the two
    /// transforms. A change here would silently change every stored explanation.
    #[test]
    fn the_noise_is_the_same_on_every_machine_and_in_every_release() {
        assert_eq!(points(&spec(Distribution::Uniform), 0..1), [[-0.342_203_92, 0.864_464_1, -2.197_026_3]]);
        let last = points(&spec(Distribution::Gaussian), 999..1_000);
        assert_eq!(last, [[0.325_631_8, 1.290_798_9, -1.303_349_3]]);
    }
}
