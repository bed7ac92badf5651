//! The named tensors of a network: what optimizers move, checkpoints hold and digests cover. A network
//! keeps handles that share storage with the ones here, so a change here is a change there.

use domain::{Error, Result, Violations};
use tch::{Device, Tensor};

use crate::checkpoint::{Checkpoint, digest_of, same_layout};

/// What training does with a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The optimizer moves it.
    Trainable,
    /// The network itself updates it: a running mean.
    Buffer,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    tensor: Tensor,
    role: Role,
}

/// Tensors in the order in which they were added. Names follow PyTorch's: `layer1.0.conv1.weight`.
#[derive(Debug)]
pub struct Parameters {
    device: Device,
    entries: Vec<Parameter>,
}

impl Parameters {
    /// No tensors yet; those that come will be moved to `device`.
    pub fn new(device: Device) -> Self {
        Self { device, entries: Vec::new() }
    }

    /// Where the tensors live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Adds a tensor that the optimizer moves, and hands back the network's handle.
    pub fn trainable(&mut self, name: impl Into<String>, initial: Tensor) -> Result<Tensor> {
        let tensor = initial
            .f_to_device(self.device)
            .and_then(|tensor| tensor.f_detach())
            .and_then(|tensor| tensor.f_set_requires_grad(true))
            .map_err(Error::unexpected)?;
        self.add(name.into(), tensor, Role::Trainable)
    }

    /// Adds a tensor that the network itself updates, and hands back the network's handle.
    pub fn buffer(&mut self, name: impl Into<String>, initial: Tensor) -> Result<Tensor> {
        let tensor = initial.f_to_device(self.device).map_err(Error::unexpected)?;
        self.add(name.into(), tensor, Role::Buffer)
    }

    fn add(&mut self, name: String, tensor: Tensor, role: Role) -> Result<Tensor> {
        if self.entries.iter().any(|entry| entry.name == name) {
            return Err(Error::unexpected(format!("two tensors are named {name}")));
        }
        let handle = tensor.shallow_clone();
        self.entries.push(Parameter { name, tensor, role });
        Ok(handle)
    }

    /// Every tensor with its name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), &entry.tensor))
    }

    /// The tensors that the optimizer moves, in order.
    pub fn trainables(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let trainable = self.entries.iter().filter(|entry| entry.role == Role::Trainable);
        trainable.map(|entry| (entry.name.as_str(), &entry.tensor))
    }

    /// Numbers in all trainable tensors.
    pub fn trainable_value_count(&self) -> usize {
        self.trainables().map(|(_, tensor)| tensor.numel()).sum()
    }

    /// blake3 over names, kinds, shapes and values, in hex. Layout in memory and file format don't matter.
    pub fn digest(&self) -> Result<String> {
        digest_of(self.iter())
    }

    /// Takes the values of a checkpoint. Every missing tensor and every wrong shape or kind is reported;
    /// on an error nothing has changed. Tensors that the network does not know are left alone.
    pub fn load(&self, checkpoint: &Checkpoint) -> Result<()> {
        let mut violations = Violations::default();
        for (name, tensor) in self.iter() {
            match checkpoint.tensor(name) {
                None => violations.add(name, "is missing"),
                Some(found) => violations.check(same_layout(found, tensor), name, || {
                    let (shape, expected) = (found.size(), tensor.size());
                    format!("is {:?} {shape:?}, expected {:?} {expected:?}", found.kind(), tensor.kind())
                }),
            }
        }
        violations.finish()?;
        let _guard = tch::no_grad_guard();
        for (name, tensor) in self.iter() {
            if let Some(found) = checkpoint.tensor(name) {
                tensor.shallow_clone().f_copy_(found).map_err(Error::unexpected)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn pair() -> Parameters {
        let mut parameters = Parameters::new(Device::Cpu);
        let _ = parameters.trainable("weight", Tensor::from_slice(&[1.0f32, 2.0])).unwrap();
        let _ = parameters.buffer("mean", Tensor::from_slice(&[3.0f32])).unwrap();
        parameters
    }

    #[test]
    fn a_network_sees_what_is_loaded() {
        let mut source = Parameters::new(Device::Cpu);
        let _ = source.trainable("weight", Tensor::from_slice(&[5.0f32, 6.0])).unwrap();
        let mut target = Parameters::new(Device::Cpu);
        let handle = target.trainable("weight", Tensor::from_slice(&[0.0f32, 0.0])).unwrap();
        target.load(&Checkpoint::of(&source).unwrap()).unwrap();
        assert_eq!(handle.double_value(&[1]), 6.0);
        assert_eq!(source.digest(), target.digest());
    }

    #[test]
    fn every_tensor_that_does_not_fit_is_named() {
        let mut other = Parameters::new(Device::Cpu);
        let _ = other.trainable("weight", Tensor::zeros([3], (Kind::Float, Device::Cpu))).unwrap();
        let error = pair().load(&Checkpoint::of(&other).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "weight: is Float [3], expected Float [2]; mean: is missing");
    }

    #[test]
    fn a_name_is_given_once() {
        assert!(pair().trainable("mean", Tensor::from_slice(&[0.0f32])).is_err());
    }

    #[test]
    fn the_digest_follows_values_and_names_and_not_the_layout() {
        let digest = |name: &str, tensor: Tensor| {
            let mut parameters = Parameters::new(Device::Cpu);
            let _ = parameters.trainable(name, tensor).unwrap();
            parameters.digest().unwrap()
        };
        let values = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([1, 2, 3, 4]);
        let original = digest("a", values.copy());
        assert_eq!(original, digest("a", crate::tensors::channels_last(&values).unwrap()));
        assert_ne!(original, digest("b", values.copy()));
        assert_ne!(original, digest("a", values + 1));
    }
}
