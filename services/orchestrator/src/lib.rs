//! The public face of the system: catalog, explanations and operations over gRPC and grpc-web, and the
//! page, on one port. [`serve`] works over any connections; [`run`] is the process of its own.

pub mod activity;
pub mod bootstrap;
pub mod caller;
pub mod catalog;
pub mod clients;
mod config;
mod documents;
pub mod explain;
pub mod explanations;
pub mod grpc;
pub mod hosts;
pub mod library;
mod measured;
pub mod operations;
pub mod ports;
pub mod records;
pub mod replicas;
pub mod store;
mod upload;
mod web;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use artifacts::Artifacts;
use domain::{Error, Result};
use proto::raw::{
    DESCRIPTORS,
    deeper::{
        catalog::v1::catalog_service_server::CatalogServiceServer,
        explanation::v1::explanation_service_server::ExplanationServiceServer,
    },
    google::longrunning::operations_server::OperationsServer,
};
use runtime::{
    channel::{self, Channel},
    server::{Connections, MAX_MESSAGE_BYTES, Server, tcp_with},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::config::Config;
use self::{
    bootstrap::Bootstrap,
    caller::{Callers, identified},
    catalog::{Catalog, CatalogParts},
    clients::{StudentClient, TeacherClient, TrainerClient, VaeClient},
    explanations::{Explanations, memory::Memory},
    grpc::{catalog::CatalogFace, explanations::ExplanationsFace, operations::OperationsFace},
    hosts::Hosts,
    library::StoredLibrary,
    operations::Operations,
    ports::{Clock, Models, Records, Store, Trainers},
    records::StoredRecords,
    replicas::{Replica, Timing},
    store::MemoryStore,
};

/// A PNG of 10 MB and what is around it, in the requests that may carry one.
const MAX_UPLOAD_BYTES: usize = 12 << 20;
/// What explanations may take to end after the calls have.
const EXPLANATIONS_DRAIN: Duration = Duration::from_secs(1);

/// What the orchestrator works with.
#[derive(Clone)]
pub struct Services {
    /// The artifact store, shared with teacher and vae.
    pub artifacts: Artifacts,
    /// The long work of teacher and vae.
    pub trainers: Arc<dyn Trainers>,
    /// Their answers, and the student's.
    pub models: Models,
    /// What replicas share and may lose.
    pub store: Arc<dyn Store>,
    /// Folder of the built page; without it only the API is served.
    pub page_folder: Option<PathBuf>,
    /// Names that requests may be addressed to.
    pub hosts: Hosts,
    /// What a fresh system starts with.
    pub bootstrap: Bootstrap,
    /// How callers are told apart.
    pub callers: Callers,
    /// How quickly replicas notice each other's doings.
    pub timing: Timing,
}

impl Services {
    /// The other services behind these channels; no page, every host name, nothing to start with, no cache but
    /// this process's.
    pub fn connected(artifacts: Artifacts, teacher: Channel, vae: Channel, student: Channel) -> Self {
        Self {
            artifacts,
            trainers: Arc::new(TrainerClient::new(teacher.clone(), vae.clone())),
            models: Models {
                teachers: Arc::new(TeacherClient::new(teacher)),
                autoencoders: Arc::new(VaeClient::new(vae)),
                students: Arc::new(StudentClient::new(student)),
            },
            store: Arc::new(MemoryStore::default()),
            page_folder: None,
            hosts: Hosts::any(),
            bootstrap: Bootstrap::default(),
            callers: Callers::default(),
            timing: Timing::default(),
        }
    }
}

/// Serves until `shutdown` is cancelled or the connections end. Trainings that ran before are resumed.
pub async fn serve(services: Services, incoming: impl Connections, shutdown: CancellationToken) -> Result<()> {
    let Services { artifacts, trainers, models, store, page_folder, hosts, bootstrap, callers, timing } = services;
    // Trainings and watches also end when the connections do.
    let stop = shutdown.child_token();
    let clock: Clock = Arc::new(|| jiff::Timestamp::now().as_second());
    let stored = Arc::new(StoredRecords::new(artifacts.clone()));
    let records: Arc<dyn Records> = stored.clone();
    let operations = Operations::new(Arc::clone(&records), Arc::clone(&clock));
    let replica = Arc::new(Replica::new(stored.clone(), timing));
    let catalog = Catalog::load(CatalogParts {
        library: Arc::new(StoredLibrary::new(artifacts.clone())),
        records,
        trainers,
        operations: operations.clone(),
        replica: Arc::clone(&replica),
        limits: callers.limits,
        clock,
        shutdown: stop.clone(),
    })
    .await?;
    let explaining = TaskTracker::new();
    let documents = Arc::new(artifacts.clone());
    let memory = Memory::over(store);
    let explanations = Explanations::new(
        models,
        memory,
        Arc::new(catalog.clone()),
        documents,
        stored,
        callers.limits,
        explaining.clone(),
    );

    let written = CancellationToken::new();
    let journal = tokio::spawn(operations.clone().keep_journal(written.clone()));
    let left = CancellationToken::new();
    let alive = tokio::spawn({
        let (operations, left) = (operations.clone(), left.clone());
        async move { replica.keep_alive(operations, left).await }
    });
    // Others take over what is let go of, without waiting to see whether this replica is dead: once the
    // trainings have ended here, and what was being written of them is.
    let leaving = tokio::spawn({
        let (stop, catalog, operations) = (stop.clone(), catalog.clone(), operations.clone());
        async move {
            stop.cancelled().await;
            catalog.drained().await;
            operations.write_down().await.ok();
            left.cancel();
        }
    });
    let started = tokio::spawn(start(bootstrap, artifacts, catalog.clone(), explanations.clone(), stop.clone()));

    let server = Server::new("orchestrator", DESCRIPTORS)
        .add(limited(CatalogServiceServer::new(CatalogFace::new(catalog.clone()))))
        .add(
            ExplanationServiceServer::new(ExplanationsFace::new(explanations.clone()))
                .max_decoding_message_size(MAX_UPLOAD_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add(OperationsServer::new(OperationsFace::new(catalog.clone(), explanations)))
        .with_web(move |grpc| web::router(identified(grpc, Arc::new(callers)), page_folder, hosts));
    let outcome = server.serve(incoming, shutdown).await;

    stop.cancel();
    started.abort();
    leaving.await.ok();
    alive.await.ok();
    explaining.close();
    // What is not done by now is computed again when it is asked for.
    tokio::time::timeout(EXPLANATIONS_DRAIN, explaining.wait()).await.ok();
    written.cancel();
    journal.await.ok();
    outcome
}

/// Goes on with what other processes left, makes what a fresh system lacks, and keeps an eye on the other
/// replicas from then on. A failure here leaves a system that can be looked at and asked.
async fn start(
    bootstrap: Bootstrap,
    artifacts: Artifacts,
    catalog: Catalog,
    explanations: Explanations,
    stop: CancellationToken,
) {
    if let Err(error) = catalog.resume().await {
        tracing::error!(%error, "trainings were not resumed");
    }
    if let Err(error) = bootstrap::run(bootstrap, &artifacts, &catalog).await {
        tracing::error!(%error, "the system did not get all that it should start with");
    }
    let (requests, mut requested) = watch::channel(BTreeSet::new());
    let heeding = async {
        while requested.changed().await.is_ok() {
            let ids = requested.borrow_and_update().clone();
            explanations.heed(&ids).await;
        }
    };
    tokio::join!(catalog.keep_up(requests, stop), heeding);
}

fn limited(service: CatalogServiceServer<CatalogFace>) -> CatalogServiceServer<CatalogFace> {
    service.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The whole service on a socket.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
    let connected = Services::connected(
        Artifacts::open(&config.artifacts)?,
        channel::connect("teacher", &config.teacher_address)?,
        channel::connect("vae", &config.vae_address)?,
        channel::connect("student", &config.student_address)?,
    );
    let bootstrap = Bootstrap::mnist(config.mnist_dir, config.bootstrap_teacher);
    let store = store::open(&config.cache).await?;
    let hosts = Hosts::new(&config.allowed_hosts, listener.local_addr().map_err(Error::unexpected)?);
    let (callers, timing) = (config.sharing.callers()?, config.sharing.timing());
    let services = Services { store, page_folder: config.page_dir, hosts, bootstrap, callers, timing, ..connected };
    serve(services, tcp_with(listener, &config.connections), shutdown).await
}
