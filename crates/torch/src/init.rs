//! Where weights start. Drawn from our generator, so that a seed means the same weights everywhere.

use domain::{Error, Result};
use tch::{Device, Kind, Tensor};

use crate::random::Randomness;

/// He et al. 2015, eq. 14: normal with variance 2 / fan-out, for convolutions before ReLU.
/// `shape` is [out, in, height, width] or [out, in].
pub fn kaiming_normal_fan_out(shape: &[i64], random: &mut Randomness) -> Result<Tensor> {
    let fan_out = shape.first().unwrap_or(&1) * shape.iter().skip(2).product::<i64>();
    let scale = (2.0 / fan_out.max(1) as f64).sqrt();
    random.normal_tensor(shape)?.f_mul_scalar(scale).map_err(Error::unexpected)
}

/// He et al. 2015, eq. 10: uniform with variance 2 / fan-in, for dense layers before ReLU.
pub fn kaiming_uniform_fan_in(shape: &[i64], fan_in: i64, random: &mut Randomness) -> Result<Tensor> {
    let bound = (6.0 / fan_in.max(1) as f64).sqrt();
    random.uniform_tensor(shape, -bound, bound)
}

/// Uniform in ±1/√fan-in: what `torch.nn.Linear` and `Conv2d` start from, weights and biases alike.
pub fn uniform_fan_in(shape: &[i64], fan_in: i64, random: &mut Randomness) -> Result<Tensor> {
    let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
    random.uniform_tensor(shape, -bound, bound)
}

/// All one value, f32.
pub fn constant(shape: &[i64], value: f64) -> Result<Tensor> {
    Tensor::f_full(shape, value, (Kind::Float, Device::Cpu)).map_err(Error::unexpected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_weights_follows_the_fan() {
        let mut random = Randomness::new(1, 0);
        let normal = kaiming_normal_fan_out(&[64, 32, 3, 3], &mut random).unwrap();
        let expected = (2.0f64 / (64.0 * 9.0)).sqrt();
        assert!((normal.std(true).double_value(&[]) / expected - 1.0).abs() < 0.03);
        let dense = kaiming_uniform_fan_in(&[100, 400], 400, &mut random).unwrap();
        assert!((dense.std(true).double_value(&[]) / (2.0f64 / 400.0).sqrt() - 1.0).abs() < 0.03);
        let uniform = uniform_fan_in(&[100, 400], 400, &mut random).unwrap();
        assert!(uniform.abs().max().double_value(&[]) <= 0.05);
        assert!((uniform.std(true).double_value(&[]) / (0.05 / 3f64.sqrt()) - 1.0).abs() < 0.03);
    }

    #[test]
    fn the_same_seed_gives_the_same_weights() {
        let draw = || kaiming_normal_fan_out(&[4, 4, 3, 3], &mut Randomness::new(9, 1)).unwrap();
        assert_eq!(draw(), draw());
    }
}
