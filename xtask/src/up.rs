//! `cargo xtask up`: sets up what is missing, builds the page and the standalone system, and becomes it.

use crate::{command, place, setup, web};
use anyhow::{Context, Result};
use clap::Args;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

/// Set up what is missing, build everything and run the standalone system
///
/// The first start trains a ResNet-50 and a VAE on MNIST, which takes some minutes; the page shows how it goes.
/// Ctrl-C ends it; what is trained and explained by then is kept in the data folder.
#[derive(Args)]
pub(crate) struct Options {
    /// Where models and explanations are kept [default: visualize-it-deeper in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the page and the API
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Further arguments for the program `deeper`
    #[arg(last = true)]
    pub(crate) passed_on: Vec<OsString>,
}

/// Does not return on success: the standalone system takes this process over.
pub(crate) fn run(options: &Options) -> Result<()> {
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
