//! Debian's Redis, for tests with a shared cache and for the image of the local overlay.

use super::apt;
use crate::command;
use anyhow::{Context, Result};
use std::path::PathBuf;

const PROGRAM: &str = "redis-server";

/// The path of `redis-server`. Where Debian's package starts a server of its own, that one is left alone.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(path) = command::find(PROGRAM) {
        return Ok(path);
    }
    apt::install(&[PROGRAM], "the shared cache")?;
    command::find(PROGRAM).context("redis-server was installed but is not on PATH")
}
