//! `cargo xtask fetch`: the data set, into the user's cache and from there into an artifact store.

use crate::{command, setup};
use anyhow::{Context, Result};
use clap::Args;

/// Fetch MNIST into the user's cache and check it, and put it into an artifact store
///
/// Credentials of a bucket are taken from the environment: AWS_* for s3://, GOOGLE_* for gs://.
#[derive(Args)]
pub(crate) struct Options {
    /// Store to put it into as `datasets/mnist`: a folder, gs://bucket/prefix or s3://bucket/prefix
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = setup::mnist::ensure()?;
    println!("MNIST is in {}", folder.display());
    let Some(to) = &options.to else { return Ok(()) };
    // The program that does it starts elsewhere.
    let to = if to.contains("://") {
        to.clone()
    } else {
        let absolute = std::path::absolute(to).with_context(|| format!("{to} is no folder"))?;
        absolute.to_string_lossy().into_owned()
    };
    let import = ["run", "--quiet", "--package", "artifacts", "--features", "cloud", "--bin", "artifacts-import", "--"];
    let what = format!("putting MNIST into {to}");
    command::run(&what, command::cargo(import).arg(&folder).arg(to))
}
