//! What has been computed before, in this process: bounded, and always safe to lose. Keys name everything
//! that determines a value, so a value never has to be invalidated.

use std::sync::Arc;

use domain::{Autoencoder, Error, Image, NeighborhoodSpec, Result, StudentSpec, Teacher};
use moka::future::Cache;
use prost::Message;
use proto::raw::deeper::types::v1 as raw;

use super::{instance::EncodedInstance, neighborhood::Neighborhood};
use crate::explain::{Question, Snapshot};

/// Changes when the meaning of a cached value does.
const SCHEMA: &str = "deeper-1";

/// Instances kept; each is a few kilobytes.
const INSTANCE_COUNT: u64 = 4_096;

/// Bytes of labelled neighbors kept, about 250 neighborhoods of 1,000 MNIST images.
const NEIGHBORHOOD_BYTES: u64 = 256 << 20;

/// Bytes of finished explanations kept. One that has just ended shares its neighbors with the above; they are
/// counted here too, since they live on where the other cache has let them go.
const ANSWER_BYTES: u64 = 256 << 20;

/// A blake3 hash of everything that determines a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(blake3::Hash);

impl Key {
    fn new(kind: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [SCHEMA.as_bytes(), kind.as_bytes()].iter().chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize())
    }

    /// Of an instance seen by a teacher and an autoencoder, each named by its digest.
    fn instance(teacher: &str, autoencoder: &str, image: &Image) -> Self {
        let shape = image.shape().to_string();
        Self::new("instance", &[teacher.as_bytes(), autoencoder.as_bytes(), shape.as_bytes(), image.pixels()])
    }

    /// Of a neighborhood, whatever its size: a larger one extends a smaller one.
    pub fn neighborhood(question: &Question) -> Self {
        let sizeless = NeighborhoodSpec { neighbor_count: 0, ..question.neighborhood.clone() };
        let spec = raw::NeighborhoodSpec::from(&sizeless).encode_to_vec();
        Self::new("neighborhood", &[InstanceKey::from(question).0.0.as_bytes(), &spec])
    }

    /// Of a whole answer.
    pub fn answer(question: &Question) -> Self {
        let count = (question.neighborhood.neighbor_count as u64).to_le_bytes();
        let gold_label = question.gold_label.map_or(u64::MAX, |label| u64::from(label.0)).to_le_bytes();
        let spec = student_bytes(&question.student_spec);
        Self::new("answer", &[Self::neighborhood(question).0.as_bytes(), &count, &gold_label, &spec])
    }
}

/// Of an instance seen by a teacher and an autoencoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstanceKey(Key);

impl InstanceKey {
    /// Of an instance by itself.
    pub fn of(teacher: &Teacher, autoencoder: &Autoencoder, image: &Image) -> Self {
        Self(Key::instance(&teacher_digest(teacher), &autoencoder.digest, image))
    }
}

impl From<&Question> for InstanceKey {
    fn from(question: &Question) -> Self {
        Self(Key::instance(&question.teacher_digest, &question.autoencoder_digest, &question.image))
    }
}

/// A teacher's weights and the engine that answers with them.
pub fn teacher_digest(teacher: &Teacher) -> String {
    format!("{} {}", teacher.digest, teacher.engine)
}

fn student_bytes(spec: &StudentSpec) -> Vec<u8> {
    raw::StudentSpec::from(spec).encode_to_vec()
}

/// The caches of one process.
#[derive(Clone)]
pub struct Memory {
    instances: Cache<InstanceKey, Arc<EncodedInstance>>,
    neighborhoods: Cache<Key, Neighborhood>,
    answers: Cache<Key, Snapshot>,
}

impl Default for Memory {
    fn default() -> Self {
        let weigher = |_: &Key, value: &Neighborhood| u32::try_from(value.byte_count()).unwrap_or(u32::MAX);
        let answer_weigher = |_: &Key, value: &Snapshot| u32::try_from(byte_count(value)).unwrap_or(u32::MAX);
        Self {
            instances: Cache::new(INSTANCE_COUNT),
            neighborhoods: Cache::builder().max_capacity(NEIGHBORHOOD_BYTES).weigher(weigher).build(),
            answers: Cache::builder().max_capacity(ANSWER_BYTES).weigher(answer_weigher).build(),
        }
    }
}

/// Bytes of an answer: its neighbors, and the weights (`f64`) and maps (`f32`) of its student.
fn byte_count(answer: &Snapshot) -> usize {
    let student = answer.student.as_ref().map_or(0, |student| {
        let map_count = 3 * student.contribution_maps.len() + 1;
        map_count * student.contrast_map.values().len() * size_of::<f32>()
    });
    answer.neighborhood.byte_count() + student
}

impl Memory {
    /// An encoded instance; computed once, however many ask at the same time.
    pub async fn instance<F>(&self, key: InstanceKey, compute: F) -> Result<Arc<EncodedInstance>>
    where
        F: Future<Output = Result<EncodedInstance>>,
    {
        let compute = async { compute.await.map(Arc::new) };
        let found = self.instances.try_get_with(key, compute).await;
        found.map_err(|error: Arc<Error>| Error::clone(&error))
    }

    /// Neighbors that were labelled before, at most as many as are asked for.
    pub async fn neighborhood(&self, question: &Question) -> Neighborhood {
        let known = self.neighborhoods.get(&Key::neighborhood(question)).await.unwrap_or_default();
        known.prefix(question.neighborhood.neighbor_count)
    }

    /// Keeps labelled neighbors, unless more of them are known.
    pub async fn keep_neighborhood(&self, question: &Question, neighborhood: Neighborhood) {
        let key = Key::neighborhood(question);
        let known = self.neighborhoods.get(&key).await.map_or(0, |known| known.len());
        if known < neighborhood.len() {
            self.neighborhoods.insert(key, neighborhood).await;
        }
    }

    /// A whole answer.
    pub async fn answer(&self, question: &Question) -> Option<Snapshot> {
        self.answers.get(&Key::answer(question)).await
    }

    /// Keeps a whole answer.
    pub async fn keep_answer(&self, question: &Question, snapshot: Snapshot) {
        self.answers.insert(Key::answer(question), snapshot).await;
    }
}
