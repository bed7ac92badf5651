//! How the orchestrator is set up as a process of its own.

mod sharing;

use std::{net::SocketAddr, path::PathBuf};

use artifacts::Location;
use domain::{Result, Violations};
use runtime::{channel::Addresses, config::Validate, server::ConnectionConfig};

use self::sharing::SharingConfig;
use crate::{bootstrap::BootstrapTeacher, hosts::Hosts, store::StoreConfig};

/// The public face: catalog, explanations and operations, and the page.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "orchestrator", version)]
pub struct Config {
    /// Address to listen on, for gRPC, grpc-web and the page.
    #[arg(long, env = "DEEPER_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Host names that requests may be addressed to, separated by commas, without ports; "*" is every name. The
    /// names of this machine itself (localhost, 127.0.0.0/8, [::1]) always are. Without it: only those when
    /// listening on a loopback address, every name otherwise.
    #[arg(long, env = "DEEPER_ALLOWED_HOSTS", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,
    /// The artifact store, shared with teacher, vae and other replicas: a folder, `gs://bucket/prefix` or
    /// `s3://bucket/prefix`.
    #[arg(long, env = "DEEPER_ARTIFACTS", default_value = "artifacts")]
    pub artifacts: Location,
    /// Folder of the built page; without it only the API is served.
    #[arg(long, env = "DEEPER_PAGE_DIR")]
    pub page_dir: Option<PathBuf>,
    /// The teacher service: `http://host:port`, several of them divided by commas, or `dns:///name:port` for
    /// all addresses of a name.
    #[arg(long, env = "DEEPER_TEACHER_ADDRESS", default_value = "http://127.0.0.1:8081")]
    pub teacher_address: String,
    /// The vae service, likewise.
    #[arg(long, env = "DEEPER_VAE_ADDRESS", default_value = "http://127.0.0.1:8082")]
    pub vae_address: String,
    /// The student service, likewise.
    #[arg(long, env = "DEEPER_STUDENT_ADDRESS", default_value = "http://127.0.0.1:8083")]
    pub student_address: String,
    /// How connections are treated.
    #[command(flatten)]
    pub connections: ConnectionConfig,
    /// What replicas share.
    #[command(flatten)]
    pub cache: StoreConfig,
    /// How users and replicas share the system.
    #[command(flatten)]
    pub sharing: SharingConfig,
    /// Folder with MNIST's four IDX files, imported at the first start.
    #[arg(long, env = "DEEPER_MNIST_DIR")]
    pub mnist_dir: Option<PathBuf>,
    /// Which teacher is trained on MNIST at the first start, with an autoencoder after it.
    #[arg(long, env = "DEEPER_BOOTSTRAP_TEACHER", value_enum, default_value = "none")]
    pub bootstrap_teacher: BootstrapTeacher,
}

impl Validate for Config {
    fn validate(&self) -> Result<()> {
        let mut violations = Violations::default();
        violations.check(self.page_dir.as_ref().is_none_or(|folder| folder.is_dir()), "--page-dir", || {
            "is not a folder".to_owned()
        });
        violations.take("", Hosts::check(&self.allowed_hosts));
        for (flag, address) in [
            ("--teacher-address", &self.teacher_address),
            ("--vae-address", &self.vae_address),
            ("--student-address", &self.student_address),
        ] {
            violations.take("", Addresses::parse(flag, address));
        }
        violations.take("", self.cache.validate());
        violations.take("", self.sharing.callers());
        violations.finish()
    }
}
