//! SGD with Nesterov momentum, and Adam, as tensor lines: equal to libtorch's own, but their state can
//! be written into a checkpoint, which tch 0.26 cannot do.

mod adam;
mod sgd;

use domain::{Error, Result, Violations};
use tch::Tensor;

use crate::{
    checkpoint::{Checkpoint, same_layout},
    parameters::Parameters,
};

pub use adam::Adam;
pub use sgd::SgdNesterov;

/// Gradients of a scalar loss by every trainable tensor, in order. Nothing accumulates.
pub fn gradients(loss: &Tensor, parameters: &Parameters) -> Result<Vec<Tensor>> {
    let inputs: Vec<&Tensor> = parameters.trainables().map(|(_, tensor)| tensor).collect();
    Tensor::f_run_backward(&[loss], &inputs, false, false).map_err(Error::unexpected)
}

/// Moves the trainable tensors against their gradients.
pub trait Optimizer {
    /// One step. `gradients` are those of [`gradients`], in its order, and are used up.
    fn step(&mut self, parameters: &Parameters, gradients: Vec<Tensor>, learning_rate: f64) -> Result<()>;

    /// All state, named apart from any parameter: `optimizer/...`.
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Takes the state back from a checkpoint; every tensor that does not fit is named.
    fn load(&mut self, checkpoint: &Checkpoint) -> Result<()>;
}

fn zeros_like(parameters: &Parameters, what: &str) -> Result<Vec<(String, Tensor)>> {
    let zeros = |(name, tensor): (&str, &Tensor)| {
        let zeros = tensor.f_detach().and_then(|tensor| tensor.f_zeros_like()).map_err(Error::unexpected)?;
        Ok((format!("optimizer/{what}/{name}"), zeros))
    };
    parameters.trainables().map(zeros).collect()
}

fn shallow(tensors: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
}

fn load_all(tensors: &mut [(String, Tensor)], checkpoint: &Checkpoint) -> Result<()> {
    let mut violations = Violations::default();
    for (name, tensor) in tensors.iter() {
        let fits = checkpoint.tensor(name).is_some_and(|found| same_layout(found, tensor));
        violations.check(fits, name, || format!("is missing or not of shape {:?}", tensor.size()));
    }
    violations.finish()?;
    for (name, tensor) in tensors {
        if let Some(found) = checkpoint.tensor(name) {
            tensor.f_copy_(found).map_err(Error::unexpected)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tch::{
        Device, Kind,
        nn::{self, OptimizerConfig},
    };

    use super::*;
    use crate::random::Randomness;

    const STEP_COUNT: u64 = 20;

    /// A small curved problem: two tensors that meet in a sigmoid.
    fn loss(matrix: &Tensor, vector: &Tensor) -> Tensor {
        let inputs = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([4, 3]) / 6.0 - 1.0;
        (inputs.matmul(matrix).tanh().matmul(vector).sigmoid() - 0.3).square().mean(Kind::Float)
    }

    fn initial() -> (Tensor, Tensor) {
        let mut random = Randomness::new(4, 0);
        (random.normal_tensor(&[3, 5]).unwrap(), random.normal_tensor(&[5]).unwrap())
    }

    fn ours() -> (Parameters, Tensor, Tensor) {
        let (matrix, vector) = initial();
        let mut parameters = Parameters::new(Device::Cpu);
        let matrix = parameters.trainable("matrix", matrix).unwrap();
        let vector = parameters.trainable("vector", vector).unwrap();
        (parameters, matrix, vector)
    }

    fn run(optimizer: &mut dyn Optimizer, model: &(Parameters, Tensor, Tensor), steps: std::ops::Range<u64>) {
        for step in steps {
            let gradients = gradients(&loss(&model.1, &model.2), &model.0).unwrap();
            optimizer.step(&model.0, gradients, 0.1 / (1.0 + step as f64)).unwrap();
        }
    }

    /// The oracle: libtorch's own optimizer on the same problem.
    fn check(optimizer: impl FnOnce(&Parameters) -> Box<dyn Optimizer>, oracle: impl OptimizerConfig) {
        let store = nn::VarStore::new(Device::Cpu);
        let (matrix, vector) = initial();
        let (matrix, vector) = (store.root().var_copy("matrix", &matrix), store.root().var_copy("vector", &vector));
        let mut theirs = oracle.build(&store, 0.1).unwrap();
        for step in 0..STEP_COUNT {
            theirs.set_lr(0.1 / (1.0 + step as f64));
            theirs.backward_step(&loss(&matrix, &vector));
        }
        let model = ours();
        run(optimizer(&model.0).as_mut(), &model, 0..STEP_COUNT);
        let largest = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(largest(&matrix, &initial().0) > 0.01, "the oracle did not move");
        assert!(largest(&matrix, &model.1).max(largest(&vector, &model.2)) < 1e-6);
    }

    #[test]
    fn sgd_equals_libtorchs_over_20_steps() {
        check(|p| Box::new(SgdNesterov::new(p, 0.9, 5e-4).unwrap()), nn::sgd(0.9, 0.0, 5e-4, true));
    }

    #[test]
    fn adam_equals_libtorchs_over_20_steps() {
        check(|p| Box::new(Adam::new(p).unwrap()), nn::adam(0.9, 0.999, 0.0));
    }

    fn check_resume(make: impl Fn(&Parameters) -> Box<dyn Optimizer>) {
        let straight = ours();
        run(make(&straight.0).as_mut(), &straight, 0..STEP_COUNT);
        let first = ours();
        let mut optimizer = make(&first.0);
        run(optimizer.as_mut(), &first, 0..7);
        let bytes = Checkpoint::of(&first.0).unwrap().with(optimizer.state()).to_bytes().unwrap();
        let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        let second = ours();
        let mut optimizer = make(&second.0);
        second.0.load(&checkpoint).unwrap();
        optimizer.load(&checkpoint).unwrap();
        run(optimizer.as_mut(), &second, 7..STEP_COUNT);
        assert_eq!(straight.0.digest(), second.0.digest());
    }

    #[test]
    fn a_resumed_optimizer_ends_with_the_same_bits() {
        check_resume(|p| Box::new(SgdNesterov::new(p, 0.9, 5e-4).unwrap()));
        check_resume(|p| Box::new(Adam::new(p).unwrap()));
    }

    #[test]
    fn state_that_is_missing_is_named() {
        let model = ours();
        let error = Adam::new(&model.0).unwrap().load(&Checkpoint::of(&model.0).unwrap()).unwrap_err();
        assert!(error.to_string().contains("optimizer/step_count"), "{error}");
    }
}
