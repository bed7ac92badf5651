//! Explanations over models that are there and never answer.

use artifacts::Artifacts;
use async_trait::async_trait;
use domain::{
    Anchoring, Architecture, Attribution, Autoencoder, AutoencoderRecipe, Dataset, Example, Image, ImageBatch, Latent,
    Logits, ModelState, NeighborhoodSpec, StudentSpec, Teacher, TeacherRecipe, TeacherSource,
};
use futures::{future::pending, stream::BoxStream};
use proto::specs::AttributionRequest;

use super::*;
use crate::{
    ports::{Autoencoders, Distillation, DistillationConfig, NeighborChunk, Students, Teachers},
    records::StoredRecords,
};

const SHAPE: ImageShape = ImageShape::gray(8, 8);

/// With so many explanations under way for each creator.
pub(super) fn all(limit: u32) -> Explanations {
    all_over(limit, MemoryStore::default())
}

/// As [`all`], with a cache of this kind.
pub(super) fn all_over(limit: u32, store: MemoryStore) -> Explanations {
    let artifacts = Artifacts::in_memory();
    let models = Models { teachers: Arc::new(Silent), autoencoders: Arc::new(Silent), students: Arc::new(Silent) };
    let board = Arc::new(StoredRecords::new(artifacts.clone()));
    let limits = Limits { explanations: limit, ..Limits::default() };
    let memory = Memory::over(Arc::new(store));
    Explanations::new(models, memory, Arc::new(Silent), Arc::new(artifacts), board, limits, TaskTracker::new())
}

/// A request without a request id.
pub(super) fn asked(id: &str, instance: InstanceRequest) -> NewExplanation {
    NewExplanation {
        name: ResourceName::new(ResourceName::EXPLANATION, &[id]).unwrap(),
        display_name: String::new(),
        teacher: name("teachers/t", ResourceName::TEACHER),
        autoencoder: name("autoencoders/a", ResourceName::AUTOENCODER),
        instance,
        neighborhood: NeighborhoodSpec::default(),
        student_spec: StudentSpec::default(),
        request_id: None,
        fingerprint: String::new(),
    }
}

/// An image that needs no decoding.
pub(super) fn pixels() -> InstanceRequest {
    InstanceRequest::Pixels { image: Image::new(SHAPE, (0..64).collect::<Vec<u8>>()).unwrap(), gold_label: None }
}

/// An upload that is refused once it has its turn.
pub(super) fn png() -> InstanceRequest {
    InstanceRequest::Png { bytes: Vec::new(), gold_label: None }
}

fn name(name: &str, collections: &[&str]) -> ResourceName {
    ResourceName::parse(name, collections).unwrap()
}

fn dataset() -> ResourceName {
    name("datasets/d", ResourceName::DATASET)
}

/// Ready, and never done.
struct Silent;

#[async_trait]
impl Catalog for Silent {
    async fn ready_teacher(&self, name: &ResourceName) -> Result<Teacher> {
        let recipe = TeacherRecipe {
            source: TeacherSource::Train(Architecture::SmallCnn),
            dataset: dataset(),
            training_split: "train".into(),
            evaluation_split: "test".into(),
            epoch_count: 1,
            batch_size: 1,
            learning_rate: 0.1,
            weight_decay: 0.0,
            seed: 1,
        };
        Ok(Teacher {
            name: name.clone(),
            display_name: String::new(),
            recipe,
            state: ModelState::Ready,
            architecture: Architecture::SmallCnn,
            digest: "t".into(),
            engine: "f32".into(),
            accuracy: None,
            evaluated_example_count: 0,
            operation: String::new(),
            creator: String::new(),
            create_time: 0,
        })
    }

    async fn ready_autoencoder(&self, name: &ResourceName) -> Result<Autoencoder> {
        Ok(Autoencoder {
            name: name.clone(),
            display_name: String::new(),
            recipe: AutoencoderRecipe::defaults(dataset(), "train".into()),
            state: ModelState::Ready,
            digest: "a".into(),
            loss: None,
            operation: String::new(),
            creator: String::new(),
            create_time: 0,
        })
    }

    async fn dataset(&self, name: &ResourceName) -> Result<Dataset> {
        let label_names = vec!["no".into(), "yes".into()];
        Ok(Dataset { name: name.clone(), display_name: String::new(), shape: SHAPE, label_names, splits: Vec::new() })
    }

    async fn example(&self, name: &ResourceName) -> Result<Example> {
        Err(Error::NotFound { kind: "EXAMPLE", resource: name.to_string() })
    }
}

#[async_trait]
impl Teachers for Silent {
    async fn classify(&self, _: &ResourceName, _: &ImageBatch) -> Result<Vec<Logits>> {
        pending().await
    }

    async fn attribute(&self, _: &ResourceName, _: &Image, _: AttributionRequest) -> Result<Attribution> {
        pending().await
    }
}

#[async_trait]
impl Autoencoders for Silent {
    async fn encode(&self, _: &ResourceName, _: &ImageBatch) -> Result<Vec<Latent>> {
        pending().await
    }

    async fn decode(&self, _: &ResourceName, _: &[Vec<f32>], _: Option<&Image>) -> Result<ImageBatch> {
        pending().await
    }

    async fn neighbors(
        &self,
        _: &ResourceName,
        _: &Image,
        _: &NeighborhoodSpec,
        _: usize,
        _: &[usize],
    ) -> Result<BoxStream<'static, Result<NeighborChunk>>> {
        pending().await
    }

    async fn interpolate(
        &self,
        _: &ResourceName,
        _: &Image,
        _: &Image,
        _: u32,
        _: Anchoring,
    ) -> Result<(ImageBatch, Vec<Vec<f32>>)> {
        pending().await
    }
}

#[async_trait]
impl Students for Silent {
    async fn distill(&self, _: DistillationConfig) -> Result<Distillation> {
        pending().await
    }
}
