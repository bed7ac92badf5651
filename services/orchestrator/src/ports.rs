//! The other services and the store, in the words of the orchestrator's cores. Adapters are in `clients`
//! (over gRPC), `store` and `documents`; tests have their own.

mod board;
mod library;
mod records;
mod store;
mod trainers;

use async_trait::async_trait;
use domain::{
    Anchoring, Attribution, Autoencoder, Dataset, Example, Image, ImageBatch, Label, Latent, Logits, NeighborhoodSpec,
    ResourceName, Result, Student, StudentSpec, Teacher,
};
use futures::stream::BoxStream;
use proto::specs::AttributionRequest;
use tokio::sync::mpsc;

pub use self::{
    board::Board,
    library::{Library, StoredAnswers},
    records::{Clock, Listing, Records, Stamp},
    store::{Acquired, Lease, MAX_KEY_COUNT, MAX_VALUE_BYTES, Store},
    trainers::{TrainedAutoencoder, TrainedTeacher, Trainers, TrainingStream, TrainingUpdate},
};

/// The teacher service, as far as explanations need it.
#[async_trait]
pub trait Teachers: Send + Sync {
    /// One answer an image, in order.
    async fn classify(&self, teacher: &ResourceName, images: &ImageBatch) -> Result<Vec<Logits>>;

    /// Which pixels move the answer to `image`.
    async fn attribute(
        &self,
        teacher: &ResourceName,
        image: &Image,
        request: AttributionRequest,
    ) -> Result<Attribution>;
}

/// The vae service, as far as explanations need it.
#[async_trait]
pub trait Autoencoders: Send + Sync {
    /// One posterior an image, in order.
    async fn encode(&self, autoencoder: &ResourceName, images: &ImageBatch) -> Result<Vec<Latent>>;

    /// One image a point, in order; each keeps the residual of `anchor` where one is given.
    async fn decode(
        &self,
        autoencoder: &ResourceName,
        points: &[Vec<f32>],
        anchor: Option<&Image>,
    ) -> Result<ImageBatch>;

    /// Neighbors from `start_index` to the end of the neighborhood. The last chunk size repeats.
    async fn neighbors(
        &self,
        autoencoder: &ResourceName,
        instance: &Image,
        spec: &NeighborhoodSpec,
        start_index: usize,
        chunk_sizes: &[usize],
    ) -> Result<BoxStream<'static, Result<NeighborChunk>>>;

    /// Images on the line between two instances, both included, with their latent points.
    async fn interpolate(
        &self,
        autoencoder: &ResourceName,
        from: &Image,
        to: &Image,
        step_count: u32,
        anchoring: Anchoring,
    ) -> Result<(ImageBatch, Vec<Vec<f32>>)>;
}

/// Neighbors as the vae sends them: not yet labelled.
#[derive(Debug, Clone, PartialEq)]
pub struct NeighborChunk {
    /// Index of the first.
    pub start_index: usize,
    /// One point a neighbor.
    pub points: Vec<Vec<f32>>,
    /// One image a neighbor.
    pub images: ImageBatch,
}

/// The student service.
#[async_trait]
pub trait Students: Send + Sync {
    /// Opens a distillation. Dropping it stops the fitting.
    async fn distill(&self, config: DistillationConfig) -> Result<Distillation>;
}

/// What is distilled.
#[derive(Debug, Clone)]
pub struct DistillationConfig {
    /// The name the student will have.
    pub name: ResourceName,
    /// How it is fitted.
    pub spec: StudentSpec,
    /// The image that is explained.
    pub instance: Image,
    /// The teacher's answer to it.
    pub instance_logits: Logits,
    /// The label the contrast is against.
    pub contrast_label: Label,
    /// Neighbors that will come.
    pub neighbor_count: usize,
}

/// A distillation under way: chunks in, answers out. The answers end with the student that has all
/// neighbors.
pub struct Distillation {
    /// Takes labelled neighbors in order. At most a few chunks wait.
    pub chunks: mpsc::Sender<LabeledChunk>,
    /// Progress and students.
    pub answers: BoxStream<'static, Result<DistillationAnswer>>,
}

/// Labelled neighbors on their way to the student.
#[derive(Debug, Clone)]
pub struct LabeledChunk {
    /// One image a neighbor.
    pub images: ImageBatch,
    /// One answer a neighbor.
    pub logits: Vec<Logits>,
    /// Whether a student is wanted after this chunk.
    pub fit: bool,
}

/// What a distillation answers.
#[derive(Debug, Clone)]
pub enum DistillationAnswer {
    /// While an iterative solver runs.
    Progress(FitProgress),
    /// A student, fitted to what had come.
    Student(Box<Student>),
}

/// How far a fit is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitProgress {
    /// Iterations or epochs done.
    pub iteration: u32,
    /// Iterations or epochs to do.
    pub iteration_count: u32,
    /// Training loss in nats; 0 for ridge.
    pub loss: f64,
}

/// The models an explanation is made with.
#[derive(Clone)]
pub struct Models {
    /// Labels images.
    pub teachers: std::sync::Arc<dyn Teachers>,
    /// Generates images.
    pub autoencoders: std::sync::Arc<dyn Autoencoders>,
    /// Fits linear classifiers.
    pub students: std::sync::Arc<dyn Students>,
}

/// What explanations need to know of the catalog.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// A teacher that can answer; [`domain::Error::ModelNotReady`] while it trains.
    async fn ready_teacher(&self, name: &ResourceName) -> Result<Teacher>;

    /// An autoencoder that can answer; [`domain::Error::ModelNotReady`] while it trains.
    async fn ready_autoencoder(&self, name: &ResourceName) -> Result<Autoencoder>;

    /// A data set.
    async fn dataset(&self, name: &ResourceName) -> Result<Dataset>;

    /// A labelled image.
    async fn example(&self, name: &ResourceName) -> Result<Example>;
}

/// Small documents that cannot be recomputed: specs, names, notes.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Writes unless the path is taken; says whether it wrote.
    async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool>;

    /// Writes if these bytes are there; says whether it wrote.
    async fn replace(&self, path: &str, expected: &[u8], bytes: Vec<u8>) -> Result<bool>;

    /// Writes, whatever was there.
    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()>;

    /// The bytes at a path.
    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// All documents of a folder.
    async fn list(&self, folder: &str) -> Result<Vec<Vec<u8>>>;

    /// The paths of all documents of a folder.
    async fn paths(&self, folder: &str) -> Result<Vec<String>>;

    /// Removes; a path that is not there is no error.
    async fn delete(&self, path: &str) -> Result<()>;
}
