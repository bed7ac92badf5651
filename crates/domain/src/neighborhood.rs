//! Where neighbors are drawn in the latent space.

use crate::error::{Error, Result, Violations};

/// The encoder's posterior for one image: a diagonal Gaussian.
#[derive(Debug, Clone, PartialEq)]
pub struct Latent {
    /// Posterior mean, one finite value a dimension. In units of the prior's standard deviation.
    pub mean: Vec<f32>,
    /// Logarithm of the posterior variance, one finite value a dimension.
    pub log_variance: Vec<f32>,
}

impl Latent {
    /// Checks equal lengths and finiteness.
    pub fn new(mean: Vec<f32>, log_variance: Vec<f32>) -> Result<Self> {
        let finite = mean.iter().chain(&log_variance).all(|value| value.is_finite());
        if mean.is_empty() || mean.len() != log_variance.len() || !finite {
            return Err(Error::invalid("latent", "mean and log_variance must be finite and of one length above 0"));
        }
        Ok(Self { mean, log_variance })
    }

    /// Number of latent dimensions.
    pub fn dimension_count(&self) -> usize {
        self.mean.len()
    }
}

/// The shape of the noise around the center.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// Uniform in ±radius around the center.
    Uniform,
    /// Gaussian with standard deviation `radius`.
    Gaussian,
}

/// What is done with a decoded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Anchoring {
    /// x' = clip(dec(z') + x0 − dec(z0)): the center of the neighborhood is the instance itself.
    Residual,
    /// x' = dec(z'): the center is the reconstruction, which the teacher may read as another class.
    None,
}

/// A band on one axis: neighbors take values between `low` and `high` there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatentRange {
    /// Index of the latent dimension.
    pub dimension: usize,
    /// Inclusive lower end.
    pub low: f32,
    /// Upper end, at least `low`.
    pub high: f32,
}

/// All that determines the neighbors of an instance: the i-th depends on (spec, i) alone, so a larger
/// `neighbor_count` extends the same set.
#[derive(Debug, Clone, PartialEq)]
pub struct NeighborhoodSpec {
    /// 32 to 10,000.
    pub neighbor_count: usize,
    /// Half width of the uniform band or standard deviation of the Gaussian, in units of the prior's
    /// standard deviation; above 0, at most 5.
    pub radius: f32,
    /// Seed of the noise.
    pub seed: u64,
    /// Shape of the noise.
    pub distribution: Distribution,
    /// Whether neighbors keep what the autoencoder cannot reproduce of the instance.
    pub anchoring: Anchoring,
    /// Bands that replace center ± radius on their axes; at most one an axis.
    pub ranges: Vec<LatentRange>,
    /// Center of the neighborhood; `None` is the instance's posterior mean.
    pub center: Option<Vec<f32>>,
}

impl Default for NeighborhoodSpec {
    /// Chosen by measurement on the default teacher (see ARCHITECTURE.md, Defaults).
    fn default() -> Self {
        Self {
            neighbor_count: 1_000,
            radius: 0.5,
            seed: 7,
            distribution: Distribution::Uniform,
            anchoring: Anchoring::Residual,
            ranges: Vec::new(),
            center: None,
        }
    }
}

impl NeighborhoodSpec {
    /// Fewest neighbors a student can be cross-fitted on.
    pub const MIN_NEIGHBOR_COUNT: usize = 32;
    /// Most neighbors one explanation may ask for.
    pub const MAX_NEIGHBOR_COUNT: usize = 10_000;
    /// Largest radius: beyond it nothing resembles the data.
    pub const MAX_RADIUS: f32 = 5.0;
    /// Most bands: one for each of the largest autoencoder's dimensions. They are compared with each other.
    pub const MAX_RANGE_COUNT: usize = 64;
    /// Largest absolute latent coordinate that is accepted.
    pub const MAX_COORDINATE: f32 = 20.0;

    /// Every wrong field at once. `dimension_count` is the autoencoder's, where it is known already.
    pub fn validate(&self, dimension_count: Option<usize>) -> Result<()> {
        let mut violations = Violations::default();
        let counts = Self::MIN_NEIGHBOR_COUNT..=Self::MAX_NEIGHBOR_COUNT;
        violations.check(counts.contains(&self.neighbor_count), "neighbor_count", || {
            format!("{} is outside {} to {}", self.neighbor_count, counts.start(), counts.end())
        });
        let radius_fits = self.radius > 0.0 && self.radius <= Self::MAX_RADIUS;
        violations.check(radius_fits, "radius", || {
            format!("{} is not above 0 and at most {}", self.radius, Self::MAX_RADIUS)
        });
        let within = |value: f32| value.is_finite() && value.abs() <= Self::MAX_COORDINATE;
        let count = self.ranges.len();
        violations.check(count <= Self::MAX_RANGE_COUNT, "ranges", || {
            format!("{count} are more than {}", Self::MAX_RANGE_COUNT)
        });
        for (i, range) in self.ranges.iter().enumerate().take(Self::MAX_RANGE_COUNT) {
            let field = format!("ranges[{i}]");
            let ends_fit = within(range.low) && within(range.high) && range.low <= range.high;
            violations.check(ends_fit, &field, || {
                format!("{} to {} is not a range within ±{}", range.low, range.high, Self::MAX_COORDINATE)
            });
            let known = dimension_count.is_none_or(|count| range.dimension < count);
            violations.check(known, &field, || {
                format!("dimension {} is not below {}", range.dimension, dimension_count.unwrap_or(0))
            });
            let repeated = self.ranges[..i].iter().any(|earlier| earlier.dimension == range.dimension);
            violations.check(!repeated, &field, || format!("dimension {} has a range already", range.dimension));
        }
        if let Some(center) = &self.center {
            violations.check(center.iter().all(|&value| within(value)), "center", || {
                format!("coordinates must be finite and within ±{}", Self::MAX_COORDINATE)
            });
            let fits = dimension_count.is_none_or(|count| center.len() == count);
            violations.check(fits, "center", || {
                format!("{} coordinates, the autoencoder has {}", center.len(), dimension_count.unwrap_or(0))
            });
        }
        violations.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(NeighborhoodSpec::default().validate(Some(10)), Ok(()));
    }

    #[test]
    fn millions_of_bands_are_counted_and_not_compared() {
        let band = |dimension| LatentRange { dimension, low: 1.0, high: 0.0 };
        let spec = NeighborhoodSpec { ranges: (0..1_000_000).map(band).collect(), ..Default::default() };
        let Err(Error::InvalidFields(violations)) = spec.validate(Some(10)) else {
            panic!("a million bands were taken")
        };
        assert_eq!(violations.iter().next().unwrap().description, "1000000 are more than 64");
        assert!(violations.iter().count() < 200);
    }

    #[test]
    fn every_wrong_field_of_a_neighborhood_is_named() {
        let spec = NeighborhoodSpec {
            neighbor_count: 1,
            radius: f32::NAN,
            ranges: vec![LatentRange { dimension: 10, low: 1.0, high: 0.0 }],
            center: Some(vec![0.0; 3]),
            ..Default::default()
        };
        let error = spec.validate(Some(10)).unwrap_err().to_string();
        for field in ["neighbor_count", "radius", "ranges[0]", "center"] {
            assert!(error.contains(field), "{error} does not name {field}");
        }
    }
}
