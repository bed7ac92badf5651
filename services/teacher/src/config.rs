//! What an operator may set: flags, each with its `DEEPER_*` variable.

use std::{net::SocketAddr, path::PathBuf};

use artifacts::Location;
use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::{ResourceName, Result};
use runtime::{engine::QueueConfig, long::TrainingConfig, readiness::served_models, server::ConnectionConfig};

/// The teacher service: trains classifiers, answers logits and attributions.
#[derive(Debug, Clone, Parser)]
#[command(name = "teacher", version)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "DEEPER_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,

    /// The artifact store: a folder, `gs://bucket/prefix` or `s3://bucket/prefix`.
    #[arg(long, env = "DEEPER_ARTIFACTS", default_value = "artifacts", global = true)]
    pub artifacts: Location,

    /// Teachers that must be warm before this process says that it is SERVING: `teachers/a,teachers/b`.
    #[arg(long, env = "DEEPER_SERVE_MODELS", value_delimiter = ',')]
    pub serve_models: Vec<String>,

    /// How teachers compute.
    #[command(flatten)]
    pub compute: ComputeConfig,

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
#[derive(Debug, Clone, Subcommand)]
pub enum Task {
    /// Train and evaluate one teacher, put it into the catalog, and end.
    ///
    /// Ends with 0 when it is done, with 75 when it was asked to stop and left a checkpoint (start it again, and
    /// it goes on), and with 1 when it failed.
    Train {
        /// TOML, or JSON by its name: `teacher_id`, optional `display_name` and `creator`, and a table `recipe`
        /// with the fields of TeacherRecipe, `train` being `resnet50` or `small_cnn`.
        #[arg(long)]
        config: PathBuf,
    },
}

/// How teachers compute; shared with the standalone process.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ComputeConfig {
    /// Threads of one computation; 0: as many as this process may use.
    #[arg(long, env = "DEEPER_THREADS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1_024))]
    pub threads: u16,

    /// Where tensors live.
    #[arg(long, env = "DEEPER_DEVICE", value_enum, default_value = "cpu")]
    pub device: Device,

    /// Numbers of training and answers. Part of every digest and cache key.
    #[arg(long, env = "DEEPER_TEACHER_PRECISION", value_enum, default_value = "quickest")]
    pub teacher_precision: Precision,

    /// Images of every batch; smaller ones are padded. 125 divides an explanation's 1,000 neighbors.
    #[arg(long, env = "DEEPER_TEACHER_BATCH_SIZE", default_value_t = 125, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub teacher_batch_size: u16,

    /// Teachers kept in memory, each with 140 MB of weights (ResNet-50).
    #[arg(long, env = "DEEPER_TEACHERS_IN_MEMORY", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub teachers_in_memory: u16,

    /// Longest time between two checkpoints of a training, in seconds.
    #[arg(long, env = "DEEPER_CHECKPOINT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub checkpoint_seconds: u32,

    /// The queue in front of each model.
    #[command(flatten)]
    pub queue: QueueConfig,
}

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// The processor.
    Cpu,
    /// The first CUDA device.
    Cuda,
}

/// Number types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// bf16 where the processor has it in hardware, else f32.
    Quickest,
    /// f32.
    F32,
    /// bf16, even where it is emulated.
    Bf16,
}

impl Default for ComputeConfig {
    fn default() -> Self {
        Self {
            threads: 0,
            device: Device::Cpu,
            teacher_precision: Precision::Quickest,
            teacher_batch_size: 125,
            teachers_in_memory: 2,
            checkpoint_seconds: 30,
            queue: QueueConfig::default(),
        }
    }
}

impl ComputeConfig {
    /// One thread, small batches: quick to start and the same on every run.
    pub fn for_testing() -> Self {
        Self { threads: 1, teacher_batch_size: 25, checkpoint_seconds: 1, ..Self::default() }
    }
}

impl Config {
    /// Port 0, an artifact folder of the test's own.
    pub fn for_testing(artifacts: PathBuf) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen,
            artifacts: Location::Folder(artifacts),
            task: None,
            serve_models: Vec::new(),
            compute: ComputeConfig::for_testing(),
            trainings: TrainingConfig::default(),
            connections: ConnectionConfig::default(),
        }
    }

    /// The teachers of `serve_models`.
    pub fn serve_models(&self) -> Result<Vec<ResourceName>> {
        served_models(&self.serve_models, ResourceName::TEACHER)
    }
}

impl runtime::config::Validate for Config {
    fn validate(&self) -> Result<()> {
        self.serve_models().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_flags_are_those_of_the_struct() {
        let config: Config = runtime::config::parse(["teacher".into()]).unwrap();
        assert_eq!(config.compute, ComputeConfig::default());
        assert!(config.serve_models.is_empty());
    }

    #[test]
    fn a_name_that_is_no_teacher_is_refused() {
        let arguments = ["teacher", "--serve-models", "teachers/a,vaes/b"].map(Into::into);
        assert!(runtime::config::parse::<Config>(arguments).is_err());
    }
}
