//! Adam, with the corrections of its first steps folded into rate and root as libtorch folds them, so that
//! rounding agrees.

use domain::{Error, Result};
use tch::{Kind, TchError, Tensor};

use super::{Optimizer, load_all, shallow, zeros_like};
use crate::{checkpoint::Checkpoint, parameters::Parameters};

/// Kingma and Ba 2015, algorithm 1.
#[derive(Debug)]
pub struct Adam {
    /// β₁: memory of the mean.
    pub beta1: f64,
    /// β₂: memory of the square.
    pub beta2: f64,
    /// ε: keeps the division finite.
    pub epsilon: f64,
    step_count: i64,
    first_moment: Vec<(String, Tensor)>,
    second_moment: Vec<(String, Tensor)>,
}

impl Adam {
    const STEP_COUNT: &str = "optimizer/step_count";

    /// The paper's constants: 0.9, 0.999, 1e-8.
    pub fn new(parameters: &Parameters) -> Result<Self> {
        Ok(Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            step_count: 0,
            first_moment: zeros_like(parameters, "first_moment")?,
            second_moment: zeros_like(parameters, "second_moment")?,
        })
    }
}

impl Optimizer for Adam {
    fn step(&mut self, parameters: &Parameters, gradients: Vec<Tensor>, learning_rate: f64) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.step_count += 1;
        let correction = |beta: f64| 1.0 - beta.powf(self.step_count as f64);
        let rate = learning_rate / correction(self.beta1);
        let root = correction(self.beta2).sqrt();
        let moments = self.first_moment.iter_mut().zip(&mut self.second_moment);
        for (((_, weight), gradient), ((_, mean), (_, square))) in parameters.trainables().zip(gradients).zip(moments) {
            let mut step = || -> std::result::Result<(), TchError> {
                let _ = mean.f_mul_scalar_(self.beta1)?.f_add_(&gradient.f_mul_scalar(1.0 - self.beta1)?)?;
                let squared = gradient.f_square()?.f_mul_scalar(1.0 - self.beta2)?;
                let _ = square.f_mul_scalar_(self.beta2)?.f_add_(&squared)?;
                let spread = square.f_sqrt()?.f_div_scalar_(root)?.f_add_scalar_(self.epsilon)?;
                let _ = weight.shallow_clone().f_sub_(&mean.f_div(&spread)?.f_mul_scalar_(rate)?)?;
                Ok(())
            };
            step().map_err(Error::unexpected)?;
        }
        Ok(())
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = shallow(&self.first_moment);
        state.extend(shallow(&self.second_moment));
        state.push((Self::STEP_COUNT.to_owned(), Tensor::from_slice(&[self.step_count])));
        state
    }

    fn load(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let count = checkpoint.tensor(Self::STEP_COUNT).filter(|count| count.size() == [1]);
        let Some(count) = count.filter(|count| count.kind() == Kind::Int64) else {
            return Err(Error::invalid(Self::STEP_COUNT, "is not one 64-bit number"));
        };
        load_all(&mut self.first_moment, checkpoint)?;
        load_all(&mut self.second_moment, checkpoint)?;
        self.step_count = count.f_int64_value(&[0]).map_err(Error::unexpected)?;
        Ok(())
    }
}
