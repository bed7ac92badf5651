//! The whole system as the one process `deeper`.

use super::Options;
use crate::{command, place, setup, web};
use anyhow::{Context, Result};
use std::process::Command;

/// Does not return on success: the standalone system takes this process over.
pub(super) fn run(options: &Options) -> Result<()> {
    setup::for_building()?;
    let mnist = setup::mnist::ensure()?;
    let page = web::build()?;
    command::run(
        "building the standalone system (some minutes the first time)",
        &mut command::cargo(["build", "--release", "--package", "standalone"]),
    )?;

    let data = options.data_dir.clone().map_or_else(place::data, Ok)?;
    println!("> running on http://{}, data in {} (Ctrl-C ends it)", options.listen, data.display());
    let mut deeper = Command::new(place::target().join("release/deeper"));
    deeper.arg("--data-dir").arg(data);
    deeper.arg("--page-dir").arg(page);
    deeper.arg("--mnist-dir").arg(mnist);
    deeper.arg("--listen").arg(options.listen.to_string());
    deeper.args(&options.passed_on);
    command::forget_own_package(&mut deeper);
    become_program(&mut deeper)
}

/// Replaces this process, so that signals reach the program itself and its exit code is ours.
#[cfg(unix)]
fn become_program(program: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = program.exec();
    Err(error).with_context(|| format!("cannot start {}", program.get_program().display()))
}

#[cfg(not(unix))]
fn become_program(program: &mut Command) -> Result<()> {
    let status = program.status().context("cannot start the standalone system")?;
    std::process::exit(status.code().unwrap_or(1))
}
