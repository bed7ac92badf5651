//! Google's own gRPC client for Python, with which a test proves that the wire is what others expect. It lies in
//! the user's cache and not in the user's Python.

use super::wheels::python;
use crate::{command, place};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The client, and the well-known messages of long work and error details.
const PACKAGES: [&str; 4] =
    ["grpcio==1.85.1", "googleapis-common-protos==1.76.0", "protobuf==7.36.2", "typing-extensions==4.16.0"];

/// A folder for PYTHONPATH; it is filled when it is missing.
pub(crate) fn ensure() -> Result<PathBuf> {
    let python = python()?;
    // The client is compiled code: each version of Python has its own.
    let asked = Command::new(&python).args(["-c", "import sys; print(sys.implementation.cache_tag)"]).output();
    let tag = String::from_utf8(asked.with_context(|| format!("cannot start {python}"))?.stdout)?;
    place::install(&format!("grpcio-1.85.1-{}", tag.trim()), |folder| {
        command::run(
            "downloading Google's gRPC client for Python with pip (7 MB)",
            Command::new(&python)
                .args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"])
                .args(["--no-compile", "--only-binary=:all:", "--root-user-action=ignore", "--target"])
                .arg(folder)
                .args(PACKAGES),
        )
    })
}
