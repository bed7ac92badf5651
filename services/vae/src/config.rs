//! How the service is set up as a process of its own, and the one place that joins its port to libtorch
//! and the artifact store.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use artifacts::Artifacts;
use domain::{ResourceName, Result, Violations};
use runtime::{
    config::{Validate, cpu_count},
    gate::Gate,
    long::TrainingQueue,
    readiness::served_models,
    server,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use torch::DeviceChoice;

use crate::{serve_warm, stored::StoredModels};

/// What the last checkpoint may take when the process stops.
const CHECKPOINT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// The autoencoder service: encodes, decodes, draws neighborhoods, trains.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "vae", version)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "DEEPER_LISTEN", default_value = "127.0.0.1:8082")]
    pub listen: SocketAddr,
    /// Folder of the artifact store: data sets, checkpoints.
    #[arg(long, env = "DEEPER_ARTIFACTS", default_value = "artifacts")]
    pub artifacts: PathBuf,
    /// Autoencoders that must be warm before this process says that it is SERVING:
    /// `autoencoders/a,autoencoders/b`.
    #[arg(long, env = "DEEPER_SERVE_MODELS", value_delimiter = ',')]
    pub serve_models: Vec<String>,
    /// Threads of one computation; all CPUs by default. Answers may differ in the last bit between counts.
    #[arg(long, env = "DEEPER_THREADS", default_value_t = cpu_count())]
    pub threads: usize,
    /// `cpu` or `cuda`.
    #[arg(long, env = "DEEPER_DEVICE", default_value = "cpu")]
    pub device: DeviceChoice,
}

impl Config {
    /// One thread on the CPU, artifacts in `artifacts`, a port that the system chooses.
    pub fn for_testing(artifacts: PathBuf) -> Self {
        let listen = ([127, 0, 0, 1], 0).into();
        Self { listen, artifacts, serve_models: Vec::new(), threads: 1, device: DeviceChoice::Cpu }
    }

    /// The autoencoders of `serve_models`.
    pub fn serve_models(&self) -> Result<Vec<ResourceName>> {
        served_models(&self.serve_models, ResourceName::AUTOENCODER)
    }
}

impl Validate for Config {
    fn validate(&self) -> Result<()> {
        let mut violations = Violations::default();
        violations.check((1..=1_024).contains(&self.threads), "--threads", || {
            format!("{} is outside 1 to 1024", self.threads)
        });
        violations.take("--device", self.device.device());
        violations.take("", self.serve_models());
        violations.finish()
    }
}

/// Opens the store and serves from it until `shutdown`.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
    config.validate()?;
    let artifacts = Artifacts::open_folder(&config.artifacts)?;
    let gate = Gate::new();
    let trainings = TrainingQueue::new(gate.clone());
    let device = config.device.device()?;
    let models = StoredModels::new(artifacts, gate, trainings.clone(), device, config.threads);
    let outcome = serve_warm(Arc::new(models), &config.serve_models()?, server::tcp(listener), shutdown).await;
    // The training that the end of the calls has cancelled may be writing its last checkpoint.
    if tokio::time::timeout(CHECKPOINT_PATIENCE, trainings.idle()).await.is_err() {
        tracing::warn!("a training did not stop in time; its last checkpoint stands");
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_autoencoder_is_refused_beside_all_else_that_is_wrong() {
        let arguments = ["vae", "--threads", "0", "--serve-models", "autoencoders/a,teachers/b"].map(Into::into);
        let Err(runtime::config::Rejected::Mistakes(mistakes)) = runtime::config::parse::<Config>(arguments) else {
            panic!("nothing was wrong");
        };
        let fields: Vec<&str> = mistakes.iter().map(|mistake| mistake.field.as_str()).collect();
        assert_eq!(fields, ["--threads", "--serve-models"], "{mistakes}");
        let arguments = ["vae", "--serve-models", "autoencoders/a"].map(Into::into);
        let config: Config = runtime::config::parse(arguments).unwrap();
        assert_eq!(config.serve_models().unwrap()[0].id(), "a");
    }
}
