//! Where tensors live, how many threads compute, and what the CPU can do. The one place that asks.
//! CUDA is chosen when it is asked for and libtorch sees it; nothing here was ever run on a GPU.

use std::str::FromStr;

use domain::{Error, Result};
use tch::Device;

/// What the operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// The first CUDA device; an error where libtorch sees none.
    Cuda,
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(Error::invalid("device", format!("{text:?} is neither cpu nor cuda"))),
        }
    }
}

impl DeviceChoice {
    /// The device, if it is there.
    pub fn device(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda if tch::Cuda::is_available() => Ok(Device::Cuda(0)),
            Self::Cuda => Err(Error::invalid("device", "cuda was asked for, but libtorch sees no CUDA device")),
        }
    }
}

/// Sets the threads of libtorch's computations, at least 1. OpenMP keeps the number per calling thread,
/// so every engine thread calls this once before its first computation.
pub fn set_thread_count(count: usize) {
    tch::set_num_threads(count.clamp(1, 1_024) as i32);
}

/// Whether the CPU multiplies bf16 in hardware. Without it libtorch emulates, slower than f32.
pub fn has_hardware_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// The widest instruction set that libtorch's kernels pick by. Two machines of one class, with one build
/// and one thread count, give the same bits; part of digests and cache keys.
pub fn cpu_class() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512bf16") {
            return "x86_64-avx512bf16";
        }
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "x86_64-avx512";
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return "x86_64-avx2";
        }
    }
    std::env::consts::ARCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuda_is_used_only_where_it_is() {
        let cuda = "cuda".parse::<DeviceChoice>().unwrap().device();
        assert_eq!(cuda.is_ok(), tch::Cuda::is_available());
        assert_eq!(DeviceChoice::default().device(), Ok(Device::Cpu));
        assert!("tpu".parse::<DeviceChoice>().is_err());
    }
}
