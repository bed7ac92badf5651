//! How the service is set up as a process of its own.

use std::net::SocketAddr;

use domain::Result;
use runtime::{config::Validate, server::ConnectionConfig};

/// The student service: distills linear classifiers from soft labels. It keeps nothing and reads no file.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "student", version)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "DEEPER_LISTEN", default_value = "127.0.0.1:8083")]
    pub listen: SocketAddr,
    /// How connections are treated.
    #[command(flatten)]
    pub connections: ConnectionConfig,
}

impl Config {
    /// A port that the system chooses.
    pub fn for_testing() -> Self {
        Self { listen: ([127, 0, 0, 1], 0).into(), connections: ConnectionConfig::default() }
    }
}

impl Validate for Config {
    /// Whatever parses is right.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}
