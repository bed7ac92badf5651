//! Rust's standard library for the browser.

use crate::command;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

pub(crate) fn ensure() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(crate::place::root())
        .output()
        .context("cannot start rustc")?;
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        return Ok(());
    }
    command::run(
        "adding the wasm target to the Rust toolchain",
        Command::new("rustup").args(["target", "add", TARGET]).current_dir(crate::place::root()),
    )
    .context("without rustup, install the standard library for wasm32-unknown-unknown as your Rust came")
}
