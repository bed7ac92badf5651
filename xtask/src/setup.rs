//! What has to be on the machine before anything can be built, run or tested. Each step looks first, says what
//! it does, leaves alone what is there, and names the command when it cannot do it itself.

pub(crate) mod apt;
pub(crate) mod browser;
mod compiler;
pub(crate) mod deploy_checks;
mod digest;
pub(crate) mod font;
pub(crate) mod grpcio;
mod libtorch;
pub(crate) mod libtorch_cuda;
pub(crate) mod mnist;
pub(crate) mod nginx;
mod npm;
pub(crate) mod redis;
pub(crate) mod tools;
mod wasm_target;
mod wheels;

pub(crate) use digest::sha256;
pub(crate) use wasm_target::TARGET as WASM_TARGET;

use anyhow::Result;

/// What native code and the page are built with.
pub(crate) fn for_building() -> Result<()> {
    compiler::ensure()?;
    wasm_target::ensure()?;
    libtorch::ensure()
}

/// What images for GPUs are built with: the folder for LIBTORCH.
pub(crate) fn for_building_with_cuda() -> Result<std::path::PathBuf> {
    compiler::ensure()?;
    libtorch_cuda::ensure()
}

/// What the page alone is built with.
pub(crate) fn for_the_page() -> Result<()> {
    wasm_target::ensure()
}
