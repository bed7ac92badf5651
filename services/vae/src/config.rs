//! How the service is set up as a process of its own, and the one place that joins its port to libtorch
//! and the artifact store.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use artifacts::{Artifacts, Location};
use domain::{ResourceName, Result, Violations};
use runtime::{
    config::{Validate, cpu_count},
    engine::QueueConfig,
    gate::Gate,
    job::End,
    long::{TrainingConfig, TrainingQueue},
    readiness::served_models,
    server::{self, ConnectionConfig},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use torch::DeviceChoice;

use crate::{job::AutoencoderJob, serve_warm, stored::StoredModels};

/// What the last checkpoint may take when the process stops.
const CHECKPOINT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// The autoencoder service: encodes, decodes, draws neighborhoods, trains.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "vae", version)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "DEEPER_LISTEN", default_value = "127.0.0.1:8082")]
    pub listen: SocketAddr,
    /// The artifact store: a folder, `gs://bucket/prefix` or `s3://bucket/prefix`.
    #[arg(long, env = "DEEPER_ARTIFACTS", default_value = "artifacts", global = true)]
    pub artifacts: Location,
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
    /// The queue in front of each model.
    #[command(flatten)]
    pub queue: QueueConfig,
    /// How many trainings this replica takes.
    #[command(flatten)]
    pub trainings: TrainingConfig,
    /// How connections are treated.
    #[command(flatten)]
    pub connections: ConnectionConfig,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub task: Option<Task>,
}

/// What the program can do beside serving.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Task {
    /// Train one autoencoder, put it into the catalog, and end.
    ///
    /// Ends with 0 when it is done, with 75 when it was asked to stop and left a checkpoint (start it again, and
    /// it goes on), and with 1 when it failed.
    Train {
        /// TOML, or JSON by its name: `autoencoder_id`, optional `display_name` and `creator`, and a table
        /// `recipe` with the fields of AutoencoderRecipe.
        #[arg(long)]
        config: PathBuf,
    },
}

impl Config {
    /// One thread on the CPU, artifacts in `artifacts`, a port that the system chooses.
    pub fn for_testing(artifacts: PathBuf) -> Self {
        Self {
            listen: ([127, 0, 0, 1], 0).into(),
            artifacts: Location::Folder(artifacts),
            serve_models: Vec::new(),
            task: None,
            threads: 1,
            device: DeviceChoice::Cpu,
            queue: QueueConfig::default(),
            trainings: TrainingConfig::default(),
            connections: ConnectionConfig::default(),
        }
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

/// Trains one autoencoder, as a file says, and ends.
pub async fn train(config: Config, file: PathBuf, shutdown: CancellationToken) -> Result<End<()>> {
    config.validate()?;
    let job = AutoencoderJob::read(&file)?;
    let artifacts = Artifacts::open(&config.artifacts)?;
    let gate = Gate::new();
    let trainings = TrainingQueue::new(gate.clone());
    let models = StoredModels::new(artifacts.clone(), gate, trainings, config.device.device()?, config.threads);
    job.run(&models, &artifacts, &shutdown).await
}

/// Opens the store and serves from it until `shutdown`.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
    config.validate()?;
    let artifacts = Artifacts::open(&config.artifacts)?;
    let gate = Gate::new();
    let trainings = TrainingQueue::with_slots(gate.clone(), config.trainings);
    let device = config.device.device()?;
    let models = StoredModels::new(artifacts, gate, trainings.clone(), device, config.threads).with_queue(config.queue);
    let incoming = server::tcp_with(listener, &config.connections);
    let outcome = serve_warm(Arc::new(models), &config.serve_models()?, incoming, shutdown).await;
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
