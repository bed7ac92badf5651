//! What the services that hold a network share: device, tensors, parameters, optimizers, checkpoints.
//! No network lives here, and no policy of training; libtorch's own random generator is never used.

pub mod checkpoint;
pub mod contain;
pub mod device;
pub mod init;
pub mod optimizer;
pub mod parameters;
pub mod random;
pub mod tensors;

pub use checkpoint::Checkpoint;
pub use contain::contain;
pub use device::DeviceChoice;
pub use optimizer::{Adam, Optimizer, SgdNesterov, gradients};
pub use parameters::Parameters;
pub use random::Randomness;
pub use tensors::Normalization;
