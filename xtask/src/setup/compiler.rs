//! A C++ compiler: torch-sys compiles libtorch's C bindings with it.

use super::apt;
use crate::command;
use anyhow::Result;

pub(crate) fn ensure() -> Result<()> {
    if std::env::var_os("CXX").is_some() || command::on_path("c++") {
        return Ok(());
    }
    apt::install(&["g++"], "compiling libtorch's bindings")
}
