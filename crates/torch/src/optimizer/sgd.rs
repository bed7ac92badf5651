//! Stochastic gradient descent with Nesterov momentum and L2 penalty, as PyTorch writes it. The rate is
//! given at each step: schedules belong to the training.

use domain::{Error, Result};
use tch::{TchError, Tensor};

use super::{Optimizer, load_all, shallow, zeros_like};
use crate::{checkpoint::Checkpoint, parameters::Parameters};

/// Sutskever et al. 2013 as PyTorch writes it: `v ← µv + g; w ← w − η(g + µv)`, with `g ← g + λw`.
#[derive(Debug)]
pub struct SgdNesterov {
    /// µ in `[0, 1)`.
    pub momentum: f64,
    /// λ: L2 penalty added to every gradient.
    pub weight_decay: f64,
    velocity: Vec<(String, Tensor)>,
}

impl SgdNesterov {
    /// Starts at rest.
    pub fn new(parameters: &Parameters, momentum: f64, weight_decay: f64) -> Result<Self> {
        Ok(Self { momentum, weight_decay, velocity: zeros_like(parameters, "velocity")? })
    }
}

impl Optimizer for SgdNesterov {
    fn step(&mut self, parameters: &Parameters, gradients: Vec<Tensor>, learning_rate: f64) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for (((_, weight), mut gradient), (_, velocity)) in
            parameters.trainables().zip(gradients).zip(&mut self.velocity)
        {
            let mut step = || -> std::result::Result<(), TchError> {
                let _ = gradient.f_add_(&weight.f_mul_scalar(self.weight_decay)?)?;
                let _ = velocity.f_mul_scalar_(self.momentum)?.f_add_(&gradient)?;
                let _ = gradient.f_add_(&velocity.f_mul_scalar(self.momentum)?)?;
                let _ = weight.shallow_clone().f_sub_(&gradient.f_mul_scalar_(learning_rate)?)?;
                Ok(())
            };
            step().map_err(Error::unexpected)?;
        }
        Ok(())
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        shallow(&self.velocity)
    }

    fn load(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        load_all(&mut self.velocity, checkpoint)
    }
}
