//! What cached values are known by: everything that determines them, so that a value never has to be
//! invalidated.

use domain::{Autoencoder, Image, NeighborhoodSpec, StudentSpec, Teacher};
use prost::Message;
use proto::raw::deeper::types::v1 as raw;

use crate::{
    explain::Question,
    store::value::{Kind, SCHEMA},
};

/// A blake3 hash of everything that determines a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(blake3::Hash);

impl Key {
    fn new(kind: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [SCHEMA.to_le_bytes().as_slice(), kind.as_bytes()].iter().chain(parts) {
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

/// Where replicas find what belongs to one instance. The braces make a cluster keep it all on one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedKeys {
    instance: InstanceKey,
    key: Key,
}

impl SharedKeys {
    /// Of the instance itself.
    pub(super) fn instance(instance: InstanceKey) -> Self {
        Self { instance, key: instance.0 }
    }

    /// Of the question's neighbors.
    pub(super) fn neighborhood(question: &Question) -> Self {
        Self { instance: question.into(), key: Key::neighborhood(question) }
    }

    /// Of the question's answer.
    pub(super) fn answer(question: &Question) -> Self {
        Self { instance: question.into(), key: Key::answer(question) }
    }

    /// Of the value of a kind.
    pub(super) fn value(&self, kind: Kind) -> String {
        self.named(kind.name())
    }

    /// Of one of several values of a kind.
    pub(super) fn part(&self, kind: Kind, index: usize) -> String {
        format!("{}:{index}", self.named(kind.name()))
    }

    /// Of the lease on making the value.
    pub(super) fn lease(&self) -> String {
        self.named("lease")
    }

    fn named(&self, name: &str) -> String {
        format!("deeper:{SCHEMA}:{name}:{{{}}}:{}", self.instance.0.0.to_hex(), self.key.0.to_hex())
    }

    /// A number that is this key's own, in 0 to 1: spreads what would otherwise happen at the same time.
    pub(super) fn share(&self) -> f64 {
        let bytes: [u8; 4] = self.key.0.as_bytes()[..4].try_into().expect("a hash has more bytes");
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    }
}
