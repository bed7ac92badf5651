//! The teacher service: trains classifiers, answers their logits in batches across callers, shows which
//! pixels move an answer, and evaluates whole splits once. [`serve`] is free of libtorch and speaks for
//! any [`workshop::Workshop`]; [`run`] puts libtorch behind it.

pub mod attribution;
pub mod config;
mod grpc;
pub mod job;
pub mod known;
pub mod models;
#[cfg(feature = "torch")]
pub mod networks;
#[cfg(feature = "torch")]
pub mod served;
#[cfg(feature = "torch")]
mod stored;
pub mod teacher;
#[cfg(feature = "torch")]
pub mod torch_workshop;
#[cfg(feature = "torch")]
pub mod training;
pub mod workshop;

use std::{sync::Arc, time::Duration};

use domain::{ResourceName, Result};
use proto::raw::deeper::teacher::v1::teacher_service_server::{SERVICE_NAME, TeacherServiceServer};
use runtime::{
    readiness,
    server::{Connections, MAX_MESSAGE_BYTES, Server},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    config::{ComputeConfig, Config, Task},
    models::Models,
};

/// How long the last checkpoints of trainings are waited for when the process ends.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(5);

/// Answers calls until `shutdown` is cancelled or the connections end.
pub async fn serve(models: Arc<Models>, incoming: impl Connections, shutdown: CancellationToken) -> Result<()> {
    serve_warm(models, &[], incoming, shutdown).await
}

/// As [`serve`]; says SERVING only once all of `teachers` are warm.
pub async fn serve_warm(
    models: Arc<Models>,
    teachers: &[ResourceName],
    incoming: impl Connections,
    shutdown: CancellationToken,
) -> Result<()> {
    let face = TeacherServiceServer::new(grpc::Face::new(Arc::clone(&models)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let places = models.queue().queue_capacity.into();
    let server = Server::new("teacher", proto::raw::DESCRIPTORS).add(face).places(places);
    let warm = async |teacher: ResourceName| models.warm(&teacher).await.map(drop);
    let outcome = readiness::serve_warm(server, SERVICE_NAME, teachers, warm, incoming, shutdown).await;
    // The callers are gone, so that every training has been asked to end.
    if tokio::time::timeout(CHECKPOINT_PATIENCE, models.trainings_ended()).await.is_err() {
        tracing::warn!("a training is left behind without its last checkpoint");
    }
    outcome
}

#[cfg(feature = "torch")]
pub use self::composition::{run, torch_models, train};

/// The composition root: the one place that joins the port and libtorch.
#[cfg(feature = "torch")]
mod composition {
    use std::path::PathBuf;

    use artifacts::Artifacts;
    use runtime::{config::cpu_count, gate::Gate, job::End, long::TrainingQueue, server::tcp_with};
    use tokio::net::TcpListener;
    use torch::DeviceChoice;

    use super::{Arc, CancellationToken, ComputeConfig, Config, Duration, Models, Result, config, serve_warm};
    use crate::{
        job::TeacherJob,
        served::Precision,
        torch_workshop::{TorchOptions, TorchWorkshop},
    };

    /// Models that compute with libtorch. `gate` and `trainings` are the process's. Must be called on a
    /// tokio runtime of several threads.
    pub fn torch_models(
        config: &ComputeConfig,
        artifacts: Artifacts,
        gate: Gate,
        trainings: TrainingQueue,
    ) -> Result<Arc<Models>> {
        let device = match config.device {
            config::Device::Cpu => DeviceChoice::Cpu,
            config::Device::Cuda => DeviceChoice::Cuda,
        };
        let options = TorchOptions {
            device: device.device()?,
            thread_count: if config.threads == 0 { cpu_count() } else { usize::from(config.threads) },
            batch_size: usize::from(config.teacher_batch_size),
            precision: match config.teacher_precision {
                config::Precision::Quickest => Precision::quickest(),
                config::Precision::F32 => Precision::Full,
                config::Precision::Bf16 => Precision::Half,
            },
            checkpoint_interval: Duration::from_secs(u64::from(config.checkpoint_seconds)),
        };
        let workshop = TorchWorkshop::new(artifacts.clone(), options);
        let capacity = usize::from(config.teachers_in_memory);
        let models = Models::new(Arc::new(workshop), artifacts, gate, trainings, capacity);
        Ok(Arc::new(models.with_queue(config.queue)))
    }

    /// Trains one teacher, as a file says, and ends.
    pub async fn train(config: Config, file: PathBuf, shutdown: CancellationToken) -> Result<End<()>> {
        let job = TeacherJob::read(&file)?;
        let artifacts = Artifacts::open(&config.artifacts)?;
        let gate = Gate::new();
        let trainings = TrainingQueue::new(gate.clone());
        let models = torch_models(&config.compute, artifacts.clone(), gate, trainings)?;
        job.run(models, &artifacts, &shutdown).await
    }

    /// The whole service on a socket.
    pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
        let artifacts = Artifacts::open(&config.artifacts)?;
        let gate = Gate::new();
        let trainings = TrainingQueue::with_slots(gate.clone(), config.trainings);
        let models = torch_models(&config.compute, artifacts, gate, trainings)?;
        let incoming = tcp_with(listener, &config.connections);
        serve_warm(models, &config.serve_models()?, incoming, shutdown).await
    }
}
