//! What has to be on the machine before anything can be built, run or tested. Each step looks first, says what
//! it does, leaves alone what is there, and names the command when it cannot do it itself.

mod apt;
pub(crate) mod browser;
mod compiler;
mod digest;
pub(crate) mod font;
pub(crate) mod grpcio;
mod libtorch;
pub(crate) mod mnist;
mod npm;
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

/// What the page alone is built with.
pub(crate) fn for_the_page() -> Result<()> {
    wasm_target::ensure()
}
