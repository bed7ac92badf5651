//! A system whose model services are played by the test: trainings go on when it lets them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use artifacts::{Artifacts, Evaluation, IdxSplit, idx};
use async_trait::async_trait;
use domain::{
    Architecture, Attribution, AutoencoderRecipe, Error, Image, ImageBatch, ImageShape, Latent, Logits,
    NeighborhoodSpec, Progress, ResourceName, Result, TeacherRecipe, TrainingPhase,
};
use futures::{StreamExt, stream, stream::BoxStream};
use orchestrator::{
    Services,
    bootstrap::Bootstrap,
    caller::Callers,
    ports::{
        Autoencoders, Distillation, DistillationConfig, Models, NeighborChunk, Students, Teachers, TrainedAutoencoder,
        TrainedTeacher, Trainers, TrainingStream, TrainingUpdate,
    },
    replicas::Timing,
    store::MemoryStore,
};
use proto::{
    raw::{
        deeper::{catalog::v1 as raw, catalog::v1::catalog_service_client::CatalogServiceClient, types::v1 as types},
        google::longrunning::operations_client::OperationsClient,
    },
    specs::AttributionRequest,
};
use runtime::channel::{Channel, in_process};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Gold labels of `datasets/tiny`, split `dev`.
pub(crate) const GOLD: [u8; 6] = [0, 0, 0, 1, 1, 1];
/// What the teacher of this world answers there: logits of label 1, label 0 being 0. It errs at 2 and 5.
pub(crate) const ANSWERS: [f32; 6] = [-3.0, -0.5, 2.0, 4.0, 0.25, -1.0];

/// Replicas that notice each other quickly: one that is dead is given up after 0.2 s.
pub(crate) const TIMING: Timing = Timing { beat: Duration::from_millis(50) };

/// The runtime of a system that will be killed.
pub(crate) struct Doom(Option<Runtime>);

impl Doom {
    /// Ends every task where it is: no drain, no farewell.
    pub(crate) fn kill(mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

impl Drop for Doom {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) struct World {
    pub(crate) channel: Channel,
    pub(crate) catalog: CatalogServiceClient<Channel>,
    pub(crate) operations: OperationsClient<Channel>,
    pub(crate) trainers: Arc<PlayedTrainers>,
    pub(crate) artifacts: Artifacts,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<()>>,
}

impl World {
    /// A system with the data set `datasets/tiny`.
    pub(crate) async fn new() -> Self {
        let artifacts = Artifacts::in_memory();
        import(&artifacts).await;
        Self::over(artifacts)
    }

    /// A system over what another one left behind, or beside it.
    pub(crate) fn over(artifacts: Artifacts) -> Self {
        Self::with(artifacts, Callers::default())
    }

    /// A system that tells its callers apart.
    pub(crate) fn with(artifacts: Artifacts, callers: Callers) -> Self {
        Self::on(&Handle::current(), artifacts, callers)
    }

    /// A system whose tasks run on a runtime of their own, so that they can be killed.
    pub(crate) fn doomed(artifacts: Artifacts) -> (Self, Doom) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let world = Self::on(runtime.handle(), artifacts, Callers::default());
        (world, Doom(Some(runtime)))
    }

    fn on(runtime: &Handle, artifacts: Artifacts, callers: Callers) -> Self {
        let trainers = Arc::new(PlayedTrainers::new(artifacts.clone()));
        let services = Services {
            artifacts: artifacts.clone(),
            trainers: trainers.clone(),
            models: Models { teachers: Arc::new(Absent), autoencoders: Arc::new(Absent), students: Arc::new(Absent) },
            store: Arc::new(MemoryStore::default()),
            page_folder: None,
            hosts: orchestrator::hosts::Hosts::any(),
            bootstrap: Bootstrap::default(),
            callers,
            timing: TIMING,
        };
        let (channel, incoming) = in_process("orchestrator");
        let shutdown = CancellationToken::new();
        let serving = runtime.spawn(orchestrator::serve(services, incoming, shutdown.clone()));
        let catalog = CatalogServiceClient::new(channel.clone());
        let operations = OperationsClient::new(channel.clone());
        Self { channel, catalog, operations, trainers, artifacts, shutdown, serving }
    }

    /// Ends it as SIGTERM would.
    pub(crate) async fn stop(self) -> Artifacts {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
        self.artifacts
    }

    /// Asks until the operation has ended.
    pub(crate) async fn ended(&self, name: &str) -> proto::raw::google::longrunning::Operation {
        loop {
            let request = proto::raw::google::longrunning::WaitOperationRequest { name: name.into(), timeout: None };
            let operation = self.operations.clone().wait_operation(request).await.unwrap().into_inner();
            if operation.done {
                return operation;
            }
        }
    }

    /// Trains a teacher to its end.
    pub(crate) async fn trained(&self, id: &str) -> raw::Teacher {
        let operation = self.catalog.clone().create_teacher(new_teacher(id)).await.unwrap().into_inner();
        self.trainers.let_steps(4);
        self.ended(&operation.name).await;
        let name = format!("teachers/{id}");
        self.catalog.clone().get_teacher(raw::GetTeacherRequest { name }).await.unwrap().into_inner()
    }
}

/// Puts `datasets/tiny` there.
pub(crate) async fn import(artifacts: &Artifacts) {
    let names = vec!["no".to_owned(), "yes".to_owned()];
    let splits = vec![split("train", &[0, 1]), split("dev", &GOLD)];
    artifacts.import_idx(&dataset(), "Tiny", names, splits).await.unwrap();
}

pub(crate) fn dataset() -> ResourceName {
    ResourceName::parse("datasets/tiny", ResourceName::DATASET).unwrap()
}

fn split(id: &str, labels: &[u8]) -> IdxSplit {
    let pixels = (0..labels.len() * 4).map(|i| i as u8).collect();
    let images = ImageBatch::new(ImageShape::gray(2, 2), pixels).unwrap();
    IdxSplit { id: id.to_owned(), images: idx::encode_images(&images), labels: idx::encode_labels(labels) }
}

pub(crate) fn new_teacher(id: &str) -> raw::CreateTeacherRequest {
    raw::CreateTeacherRequest {
        teacher_id: id.to_owned(),
        display_name: String::new(),
        recipe: Some(types::TeacherRecipe {
            source: Some(types::teacher_recipe::Source::Train(types::Architecture::SmallCnn.into())),
            dataset: "datasets/tiny".to_owned(),
            training_split: "train".to_owned(),
            evaluation_split: "dev".to_owned(),
            ..Default::default()
        }),
        request_id: String::new(),
    }
}

/// Trains by permission: each step of each training takes one permit.
pub(crate) struct PlayedTrainers {
    artifacts: Artifacts,
    steps: Arc<Semaphore>,
    /// Trainings whose stream is open.
    pub(crate) running: Arc<AtomicUsize>,
    /// The most that ever ran at once.
    pub(crate) most_running: Arc<AtomicUsize>,
    /// Names in the order in which trainings began.
    pub(crate) begun: Mutex<Vec<String>>,
    /// Failures to answer with before anything works.
    pub(crate) failures: Mutex<Vec<Error>>,
}

impl PlayedTrainers {
    fn new(artifacts: Artifacts) -> Self {
        Self {
            artifacts,
            steps: Arc::new(Semaphore::new(0)),
            running: Arc::default(),
            most_running: Arc::default(),
            begun: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    pub(crate) fn let_steps(&self, count: usize) {
        self.steps.add_permits(count);
    }

    /// Three steps and a result; dropping the stream ends the training.
    fn train<T: Clone + Send + Sync + 'static>(&self, name: &ResourceName, result: T) -> Result<TrainingStream<T>> {
        self.begun.lock().unwrap().push(name.to_string());
        if let Some(error) = self.failures.lock().unwrap().pop() {
            return Err(error);
        }
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(now, Ordering::SeqCst);
        let guard = Running(self.running.clone());
        let steps = self.steps.clone();
        let updates = stream::unfold((0u64, guard, steps), move |(step, guard, steps)| {
            let result = result.clone();
            async move {
                if step > 3 {
                    return None;
                }
                steps.acquire().await.unwrap().forget();
                let update = if step < 3 {
                    TrainingUpdate::Progress(progress(TrainingPhase::Training, step + 1, 3))
                } else {
                    TrainingUpdate::Trained(result)
                };
                Some((Ok(update), (step + 1, guard, steps)))
            }
        });
        Ok(updates.boxed())
    }
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn progress(phase: TrainingPhase, step: u64, step_count: u64) -> Progress {
    Progress {
        phase,
        epoch: 0,
        epoch_count: 3,
        step,
        step_count,
        loss: 1.0 / step as f64,
        accuracy: 0.5,
        images_per_second: 10.0,
        remaining_seconds: 1.0,
        loss_curve: match phase {
            TrainingPhase::Training => vec![domain::LossPoint { step, loss: 1.0 / step as f64 }],
            _ => Vec::new(),
        },
    }
}

#[async_trait]
impl Trainers for PlayedTrainers {
    async fn train_teacher(&self, teacher: &ResourceName, _: &TeacherRecipe) -> Result<TrainingStream<TrainedTeacher>> {
        let trained = TrainedTeacher {
            digest: "abc".to_owned(),
            engine: "played".to_owned(),
            architecture: Architecture::SmallCnn,
        };
        self.train(teacher, trained)
    }

    async fn evaluate_teacher(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: &str,
    ) -> Result<TrainingStream<()>> {
        let evaluation = Evaluation {
            logits: ANSWERS.iter().flat_map(|&answer| [0.0, answer]).collect(),
            label_count: 2,
            teacher_digest: "abc".to_owned(),
            engine: "played".to_owned(),
        };
        self.artifacts.put_evaluation(teacher, dataset, split, &evaluation).await?;
        let last = Ok(TrainingUpdate::Progress(progress(TrainingPhase::Evaluating, 6, 6)));
        Ok(stream::iter([last, Ok(TrainingUpdate::Trained(()))]).boxed())
    }

    async fn train_autoencoder(
        &self,
        autoencoder: &ResourceName,
        _: &AutoencoderRecipe,
    ) -> Result<TrainingStream<TrainedAutoencoder>> {
        self.train(autoencoder, TrainedAutoencoder { digest: "def".to_owned(), loss: 104.5 })
    }
}

/// Model services that nobody started.
struct Absent;

fn absent<T>() -> Result<T> {
    Err(Error::UpstreamUnavailable { service: "absent".to_owned() })
}

#[async_trait]
impl Teachers for Absent {
    async fn classify(&self, _: &ResourceName, _: &ImageBatch) -> Result<Vec<Logits>> {
        absent()
    }

    async fn attribute(&self, _: &ResourceName, _: &Image, _: AttributionRequest) -> Result<Attribution> {
        absent()
    }
}

#[async_trait]
impl Autoencoders for Absent {
    async fn encode(&self, _: &ResourceName, _: &ImageBatch) -> Result<Vec<Latent>> {
        absent()
    }

    async fn decode(&self, _: &ResourceName, _: &[Vec<f32>], _: Option<&Image>) -> Result<ImageBatch> {
        absent()
    }

    async fn neighbors(
        &self,
        _: &ResourceName,
        _: &Image,
        _: &NeighborhoodSpec,
        _: usize,
        _: &[usize],
    ) -> Result<BoxStream<'static, Result<NeighborChunk>>> {
        absent()
    }

    async fn interpolate(
        &self,
        _: &ResourceName,
        _: &Image,
        _: &Image,
        _: u32,
        _: domain::Anchoring,
    ) -> Result<(ImageBatch, Vec<Vec<f32>>)> {
        absent()
    }
}

#[async_trait]
impl Students for Absent {
    async fn distill(&self, _: DistillationConfig) -> Result<Distillation> {
        absent()
    }
}

/// Lets everything that can run, run; for tests that look at what happened behind a call.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("it holds in the end");
}
