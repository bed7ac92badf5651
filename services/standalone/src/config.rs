//! What the user of the standalone system may set: flags, each with its `DEEPER_*` variable.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use domain::{Result, Violations};
use orchestrator::{bootstrap::BootstrapTeacher, hosts::Hosts};
use runtime::config::{Validate, cpu_count};
use teacher::{ComputeConfig, config::Device};
use torch::DeviceChoice;

/// Visualize it Deeper in one process: trains a classifier and an autoencoder on MNIST at the first start,
/// and serves page and API on one port.
#[derive(Debug, Clone, Parser)]
#[command(name = "deeper", version)]
pub struct Config {
    /// Address to listen on. Who can reach it can use everything: there are no accounts.
    #[arg(long, env = "DEEPER_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Host names that requests may be addressed to, separated by commas, without ports; "*" is every name. The
    /// names of this machine itself (localhost, 127.0.0.0/8, [::1]) always are. Without it: only those when
    /// listening on a loopback address, every name otherwise.
    #[arg(long, env = "DEEPER_ALLOWED_HOSTS", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,

    /// Folder for all that is kept: data sets, weights, explanations. A restart finds them again.
    #[arg(long, env = "DEEPER_DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,

    /// Folder of the built page; without it only the API is served.
    #[arg(long, env = "DEEPER_PAGE_DIR")]
    pub page_dir: Option<PathBuf>,

    /// Folder with MNIST's four IDX files, read at the first start. Without it: `mnist` in the data folder.
    #[arg(long, env = "DEEPER_MNIST_DIR")]
    pub mnist_dir: Option<PathBuf>,

    /// Which classifier is trained at the first start, with an autoencoder after it.
    #[arg(long, env = "DEEPER_BOOTSTRAP_TEACHER", value_enum, default_value = "resnet50")]
    pub bootstrap_teacher: BootstrapTeacher,

    /// How models compute.
    #[command(flatten)]
    pub compute: ComputeConfig,
}

impl Config {
    /// A port that the system chooses, a folder of the test's own, small models, one thread.
    pub fn for_testing(data_dir: PathBuf, mnist_dir: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            allowed_hosts: Vec::new(),
            data_dir,
            page_dir: None,
            mnist_dir: Some(mnist_dir),
            bootstrap_teacher: BootstrapTeacher::SmallCnn,
            compute: ComputeConfig::for_testing(),
        }
    }

    /// Where MNIST's files are.
    pub(crate) fn mnist_dir(&self) -> PathBuf {
        self.mnist_dir.clone().unwrap_or_else(|| self.data_dir.join("mnist"))
    }

    /// Threads of one computation.
    pub(crate) fn thread_count(&self) -> usize {
        if self.compute.threads == 0 { cpu_count() } else { usize::from(self.compute.threads) }
    }

    /// The teacher's choice holds for the autoencoder.
    pub(crate) fn device(&self) -> DeviceChoice {
        match self.compute.device {
            Device::Cpu => DeviceChoice::Cpu,
            Device::Cuda => DeviceChoice::Cuda,
        }
    }
}

impl Validate for Config {
    fn validate(&self) -> Result<()> {
        let mut violations = Violations::default();
        violations.check(self.page_dir.as_ref().is_none_or(|folder| folder.is_dir()), "--page-dir", || {
            "is not a folder".to_owned()
        });
        violations.check(self.mnist_dir.as_ref().is_none_or(|folder| folder.is_dir()), "--mnist-dir", || {
            "is not a folder".to_owned()
        });
        violations.take("", Hosts::check(&self.allowed_hosts));
        violations.take("--device", self.device().device());
        violations.finish()
    }
}
