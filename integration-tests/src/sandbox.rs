//! All four services in one process: the inner three over in-process pipes, the orchestrator on a port of
//! its own choosing. Everything in it is made through the public API.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use domain::Result;
use orchestrator::{Services, caller::Callers, hosts::Hosts, ports::Store, replicas::Timing, store::MemoryStore};
use proto::raw::{
    deeper::{catalog::v1 as catalog, types::v1 as types},
    google::longrunning::{Operation, operation},
};
use runtime::{channel, gate::Gate, long::TrainingQueue, server::tcp};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use crate::{
    api::Api,
    known::KnownAutoencoders,
    world::{DATASET, IDENTITY, QUARTERS, TEACHER, World},
};

/// Orchestrators that notice each other quickly: one that is dead is given up after 0.4 s.
const TIMING: Timing = Timing { beat: Duration::from_millis(100) };
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
    services: Services,
    stops: HashMap<&'static str, CancellationToken>,
    serving: Vec<JoinHandle<Result<()>>>,
    _stop_all: DropGuard,
}

/// The runtime of an orchestrator that will be killed.
pub struct Doom(Option<Runtime>);

impl Doom {
    /// Ends all of its tasks where they are, as SIGKILL does: no drain, no farewell.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Doom {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
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
        let sandbox = serve(world.clone(), page_folder, None).await.expect("the services start");
        sandbox.make_models().await.expect("the models are made");
        sandbox
    }

    /// As [`Sandbox::start`], with the teachers at these addresses instead of one of its own.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_with_teachers(world: &World, addresses: &str) -> Self {
        let sandbox = serve(world.clone(), None, Some(addresses)).await.expect("the services start");
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

    /// Another orchestrator of the same system: the same artifacts, the same inner services, a cache of its own
    /// in front of `store`. It ends with the sandbox.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn replica(&self, store: Arc<dyn Store>) -> Api {
        let services = Services { store, page_folder: None, ..self.services.clone() };
        self.serve_on(&Handle::current(), services).await
    }

    /// As [`Sandbox::replica`], for callers who are told apart.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn shared_by(&self, callers: Callers) -> Api {
        let services = Services { callers, page_folder: None, ..self.services.clone() };
        self.serve_on(&Handle::current(), services).await
    }

    /// Another orchestrator of the same system, on a runtime of its own, so that it can be killed.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn doomed(&self) -> (Api, Doom) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread is free");
        let services = Services { page_folder: None, store: Arc::new(MemoryStore::default()), ..self.services.clone() };
        let api = self.serve_on(runtime.handle(), services).await;
        (api, Doom(Some(runtime)))
    }

    async fn serve_on(&self, runtime: &Handle, services: Services) -> Api {
        let stop = self.stops["orchestrator"].child_token();
        let bound = runtime.spawn(async move {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
            let address = listener.local_addr().expect("it is bound");
            tokio::spawn(orchestrator::serve(services, tcp(listener), stop));
            address
        });
        let address = bound.await.expect("it is served");
        Api::over(channel::connect("orchestrator", &format!("http://{address}")).expect("it is an address"))
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
async fn serve(world: World, page_folder: Option<PathBuf>, teachers_at: Option<&str>) -> Result<Sandbox> {
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

    let teacher = match teachers_at {
        Some(addresses) => channel::connect("teacher", addresses)?,
        None => teacher,
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(domain::Error::unexpected)?;
    let address = listener.local_addr().map_err(domain::Error::unexpected)?;
    let connected = Services::connected(world.artifacts.clone(), teacher, vae, student);
    let services = Services { page_folder, hosts: Hosts::new(&[], address), timing: TIMING, ..connected };
    let orchestrator = tokio::spawn(orchestrator::serve(services.clone(), tcp(listener), stop("orchestrator")));

    let api = Api::over(channel::connect("orchestrator", &format!("http://{address}"))?);
    let serving = vec![orchestrator, teachers, autoencoders, students];
    Ok(Sandbox { address, api, world, services, stops, serving, _stop_all: stop_all.drop_guard() })
}
