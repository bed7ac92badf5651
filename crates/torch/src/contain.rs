//! The wall between libtorch and the rest: tch's short methods panic where C++ throws, and a network
//! written with its long twins cannot be read, so a whole computation is contained at once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::{Error, Result};

/// Runs a computation; a panic in it becomes [`Error::Unexpected`]. What the computation was changing
/// when it panicked may be half changed: drop it, or restore it from a checkpoint.
pub fn contain<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Error::Unexpected(text.unwrap_or("a tensor computation panicked").to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn an_error_of_libtorch_becomes_an_error_of_ours() {
        let matrix = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let error = contain(|| Ok(matrix.matmul(&matrix))).unwrap_err();
        assert!(matches!(&error, Error::Unexpected(cause) if cause.contains("shapes cannot be multiplied")), "{error}");
    }
}
