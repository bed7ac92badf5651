//! Known teachers on ports of their own: replicas of one service over one store.

use std::{net::SocketAddr, sync::Arc};

use artifacts::Artifacts;
use runtime::{
    engine::QueueConfig,
    gate::Gate,
    long::{TrainingConfig, TrainingQueue},
    server::tcp,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{brake::Brake, known::KnownWorkshop};

/// Teachers kept open.
const TEACHERS_IN_MEMORY: usize = 2;

/// A teacher service that runs. Dropping it stops it.
pub struct Replica {
    /// Where it listens.
    pub address: SocketAddr,
    /// On its models.
    pub brake: Arc<Brake>,
    /// Ends it, as SIGTERM does.
    pub stop: CancellationToken,
    _stop: DropGuard,
}

impl Replica {
    /// Serves the teachers of a workshop.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(
        workshop: &KnownWorkshop,
        artifacts: &Artifacts,
        queue: QueueConfig,
        trainings: TrainingConfig,
    ) -> Self {
        let brake = Arc::new(Brake::default());
        let workshop = Arc::new(workshop.replica(Arc::clone(&brake)));
        let gate = Gate::new();
        let trainings = TrainingQueue::with_slots(gate.clone(), trainings);
        let models = teacher::Models::new(workshop, artifacts.clone(), gate, trainings, TEACHERS_IN_MEMORY);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stop = CancellationToken::new();
        tokio::spawn(teacher::serve(Arc::new(models.with_queue(queue)), tcp(listener), stop.clone()));
        Self { address, brake, _stop: stop.clone().drop_guard(), stop }
    }

    /// For configurations of others.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
