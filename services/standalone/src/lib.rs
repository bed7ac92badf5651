//! The whole system in one process: the four services over in-memory pipes, their artifacts in one
//! folder, page and API on one port. They do not know that they are not alone.

mod config;

use std::{sync::Arc, time::Duration};

use artifacts::Artifacts;
use domain::{Error, Result};
use orchestrator::{Services, bootstrap::Bootstrap, hosts::Hosts};
use runtime::{channel::in_process, gate::Gate, long::TrainingQueue, server::tcp};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use vae::stored::StoredModels;

pub use self::config::Config;

/// What a training may take to write its last checkpoint once it was told to stop.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(8);
/// What the step that computes when all has ended may take.
const LAST_STEP_LIMIT: Duration = Duration::from_secs(2);

/// Runs until `shutdown` is cancelled. The port is open at once; the import of the data set and the
/// trainings follow. Must be called on a tokio runtime of several threads.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
    let artifacts = Artifacts::open_folder(&config.data_dir.join("artifacts"))?;
    // One machine's compute is one shared resource, whoever asks for it.
    let gate = Gate::new();
    let trainings = TrainingQueue::new(gate.clone());
    let teachers = teacher::torch_models(&config.compute, artifacts.clone(), gate.clone(), trainings.clone())?;
    let device = config.device().device()?;
    let autoencoders =
        StoredModels::new(artifacts.clone(), gate.clone(), trainings.clone(), device, config.thread_count())
            .with_queue(config.compute.queue);

    let (teacher, teacher_calls) = in_process("teacher");
    let (vae, vae_calls) = in_process("vae");
    let (student, student_calls) = in_process("student");
    // The services end after the orchestrator, which still asks them while it drains.
    let stop = CancellationToken::new();
    let mut services = JoinSet::new();
    services.spawn(teacher::serve(teachers, teacher_calls, stop.clone()));
    services.spawn(vae::serve(Arc::new(autoencoders), vae_calls, stop.clone()));
    services.spawn(student::serve(gate.clone(), student_calls, stop.clone()));

    let bootstrap = Bootstrap::mnist(Some(config.mnist_dir()), config.bootstrap_teacher);
    // A service whose callers are gone ends: these stay until it is told to.
    let _callers = [teacher.clone(), vae.clone(), student.clone()];
    let connected = Services::connected(artifacts, teacher, vae, student);
    let hosts = Hosts::new(&config.allowed_hosts, listener.local_addr().map_err(Error::unexpected)?);
    let orchestrator = Services { page_folder: config.page_dir, hosts, bootstrap, ..connected };
    let facing = orchestrator::serve(orchestrator, tcp(listener), shutdown.clone());
    let outcome = tokio::select! {
        outcome = facing => outcome,
        // None of them ends before it is told to.
        ended = services.join_next() => Err(Error::unexpected(format!("a service has ended: {ended:?}"))),
    };
    if tokio::time::timeout(CHECKPOINT_LIMIT, trainings.idle()).await.is_err() {
        tracing::warn!("a training did not stop in time; its last checkpoint stands");
    }
    stop.cancel();
    while services.join_next().await.is_some() {}
    // libtorch's globals go when the process does: no step may still run then.
    let closing = gate.clone();
    let _ = tokio::task::spawn_blocking(move || closing.close(LAST_STEP_LIMIT)).await;
    outcome
}
