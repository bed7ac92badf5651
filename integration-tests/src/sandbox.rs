//! All four services in one process: the inner three over in-process pipes, the orchestrator on a port of
//! its own choosing. Everything in it is made through the public API.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc};

use domain::Result;
use orchestrator::{Services, hosts::Hosts};
use proto::raw::{
    deeper::{catalog::v1 as catalog, types::v1 as types},
    google::longrunning::{Operation, operation},
};
use runtime::{channel, gate::Gate, long::TrainingQueue, server::tcp};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use crate::{
    api::Api,
    known::KnownAutoencoders,
    world::{DATASET, IDENTITY, QUARTERS, TEACHER, World},
};

/// Teachers kept open.
const TEACHERS_IN_MEMORY: usize = 2;

/// A running system. Dropping it stops all services.
pub struct Sandbox {
    /// Of the public API and the page.
    pub address: SocketAddr,
    /// The public API.
    pub api: Api,
    /// What the models and the store do.
    pub world: World,
    stops: HashMap<&'static str, CancellationToken>,
    serving: Vec<JoinHandle<Result<()>>>,
    _stop_all: DropGuard,
}

impl Sandbox {
    /// A system of this world, with its models trained unless they are already.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(world: &World) -> Self {
        Self::start_with(world, None).await
    }

    /// As [`Sandbox::start`], with the page of a folder.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_with(world: &World, page_folder: Option<PathBuf>) -> Self {
        let sandbox = serve(world.clone(), page_folder).await.expect("the services start");
        sandbox.make_models().await.expect("the models are made");
        sandbox
    }

    /// With a linear teacher, in a world of its own.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn linear() -> Self {
        Self::start(&World::linear().await).await
    }

    /// Ends one of the services, as a crash of its process would.
    ///
    /// # Panics
    /// When there is no such service.
    pub fn stop(&self, service: &str) {
        self.stops.get(service).expect("one of the four services").cancel();
    }

    /// Stops all services and waits for them, as a shutdown does.
    pub async fn shut_down(mut self) {
        self.stop("orchestrator");
        let orchestrator = self.serving.remove(0);
        orchestrator.await.ok();
    }

    async fn make_models(&self) -> Result<(), Status> {
        let known = self.api.catalog.clone().get_teacher(catalog::GetTeacherRequest { name: TEACHER.into() }).await;
        if known.is_ok() {
            return Ok(());
        }
        for operation in [
            self.create_teacher("known", 1).await?,
            self.create_autoencoder(id(IDENTITY), 64, 1).await?,
            self.create_autoencoder(id(QUARTERS), 4, 1).await?,
        ] {
            let operation = self.api.finished(operation).await?;
            if let Some(operation::Result::Error(error)) = operation.result {
                return Err(Status::internal(error.message));
            }
        }
        Ok(())
    }

    /// Asks for a teacher; the known workshop makes every one alike.
    pub async fn create_teacher(&self, id: &str, seed: u64) -> Result<Operation, Status> {
        let request = catalog::CreateTeacherRequest {
            teacher_id: id.to_owned(),
            recipe: Some(teacher_recipe(seed)),
            ..Default::default()
        };
        Ok(self.api.catalog.clone().create_teacher(request).await?.into_inner())
    }

    /// Asks for an autoencoder; its dimensions say which of the known ones it becomes.
    pub async fn create_autoencoder(
        &self,
        id: &str,
        latent_dimension_count: u32,
        seed: u64,
    ) -> Result<Operation, Status> {
        let recipe = types::AutoencoderRecipe {
            dataset: DATASET.to_owned(),
            training_split: "train".to_owned(),
            latent_dimension_count: Some(latent_dimension_count),
            seed: Some(seed),
            ..Default::default()
        };
        let request = catalog::CreateAutoencoderRequest {
            autoencoder_id: id.to_owned(),
            recipe: Some(recipe),
            ..Default::default()
        };
        Ok(self.api.catalog.clone().create_autoencoder(request).await?.into_inner())
    }
}

/// The recipe of the sandbox's teacher: learns from the small split, is judged on the large one.
pub fn teacher_recipe(seed: u64) -> types::TeacherRecipe {
    types::TeacherRecipe {
        source: Some(types::teacher_recipe::Source::Train(types::Architecture::SmallCnn.into())),
        dataset: DATASET.to_owned(),
        training_split: "t10k".to_owned(),
        evaluation_split: "train".to_owned(),
        seed: Some(seed),
        ..Default::default()
    }
}

fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The composition root: each service has a gate of its own, as it would in a process of its own, so that a
/// teacher that a test holds does not hold the others.
async fn serve(world: World, page_folder: Option<PathBuf>) -> Result<Sandbox> {
    let stop_all = CancellationToken::new();
    let mut stops = HashMap::new();
    let mut stop = |service| stops.entry(service).or_insert_with(|| stop_all.child_token()).clone();

    let (teacher, teacher_calls) = channel::in_process("teacher");
    let gate = Gate::new();
    let workshop = Arc::clone(&world.workshop);
    let trainings = TrainingQueue::new(gate.clone());
    let teachers = teacher::Models::new(workshop, world.artifacts.clone(), gate, trainings, TEACHERS_IN_MEMORY);
    let teachers = tokio::spawn(teacher::serve(Arc::new(teachers), teacher_calls, stop("teacher")));

    let (vae, vae_calls) = channel::in_process("vae");
    let gate = Gate::new();
    let trainings = TrainingQueue::new(gate.clone());
    let autoencoders = KnownAutoencoders::start(gate, trainings, Arc::clone(&world.autoencoders)).await?;
    let autoencoders = tokio::spawn(vae::serve(Arc::new(autoencoders), vae_calls, stop("vae")));

    let (student, student_calls) = channel::in_process("student");
    let students = tokio::spawn(student::serve(Gate::new(), student_calls, stop("student")));

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(domain::Error::unexpected)?;
    let address = listener.local_addr().map_err(domain::Error::unexpected)?;
    let connected = Services::connected(world.artifacts.clone(), teacher, vae, student);
    let services = Services { page_folder, hosts: Hosts::new(&[], address), ..connected };
    let orchestrator = tokio::spawn(orchestrator::serve(services, tcp(listener), stop("orchestrator")));

    let api = Api::over(channel::connect("orchestrator", &format!("http://{address}"))?);
    let serving = vec![orchestrator, teachers, autoencoders, students];
    Ok(Sandbox { address, api, world, stops, serving, _stop_all: stop_all.drop_guard() })
}
