//! Debian's nginx, for the cluster on one machine.

use super::apt;
use crate::command;
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// The path of `nginx`. Debian's package would start a server on port 80; only the one program is taken out of it.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(path) = command::find("nginx") {
        return Ok(path);
    }
    let path = apt::program("nginx", "usr/sbin/nginx", "the cluster on one machine")?;
    ensure!(
        command::succeeds(Command::new(&path).arg("-v")),
        "{0} does not run: `ldd {0}` names the libraries that are missing",
        path.display()
    );
    Ok(path)
}
