//! `cargo xtask up`: sets up what is missing, builds the system and runs it, as one process or as a cluster.

#[cfg(unix)]
mod cluster;
mod standalone;

use anyhow::Result;
use clap::Args;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Set up what is missing, build everything and run the standalone system
///
/// The first start trains a ResNet-50 and a VAE on MNIST, which takes some minutes; the page shows how it goes.
/// Ctrl-C ends it; what is trained and explained by then is kept in the data folder.
#[derive(Args)]
pub(crate) struct Options {
    /// Run a cluster on this machine instead: Redis, three teachers and two of every other service behind nginx
    ///
    /// Programs reach it at the port after the page's. `DEEPER_*` variables hold for all services, but for those that
    /// name addresses, the store, the cache, the page or MNIST. See docs/CLUSTER.md.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// Where models and explanations are kept [default: visualize-it-deeper in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the page and the API
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Further arguments for the program `deeper`
    #[arg(last = true, conflicts_with = "cluster")]
    pub(crate) passed_on: Vec<OsString>,
}

/// Ends with the system. Where that is one process, it takes this one over.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.cluster { cluster::run(options) } else { standalone::run(options) }
}

#[cfg(not(unix))]
mod cluster {
    pub(super) fn run(_: &super::Options) -> anyhow::Result<()> {
        anyhow::bail!("a cluster needs Unix, for its signals and for Debian's nginx and Redis");
    }
}
