//! Cached values as bytes, in the wire's own encoding. What is read was written by this version for this
//! key and is whole; still nothing here trusts it.

use std::sync::Arc;

use domain::{Error, ImageBatch, ImageShape, Result, Stage};
use prost::Message;
use proto::{
    fields::{required, required_from},
    raw::deeper::types::v1 as raw,
    students::student,
    types::{flat_from_logits, logits_from_flat},
};

use super::super::{instance::EncodedInstance, neighborhood::Chunk};
use crate::explain::{Question, Snapshot};

#[derive(Clone, PartialEq, Message)]
struct Instance {
    #[prost(message, optional, tag = "1")]
    image: Option<raw::Image>,
    #[prost(message, optional, tag = "2")]
    latent: Option<raw::Latent>,
    #[prost(message, optional, tag = "3")]
    logits: Option<raw::Logits>,
    #[prost(message, optional, tag = "4")]
    reconstruction: Option<raw::Image>,
    #[prost(message, optional, tag = "5")]
    reconstruction_logits: Option<raw::Logits>,
}

impl From<&EncodedInstance> for Instance {
    fn from(instance: &EncodedInstance) -> Self {
        Self {
            image: Some((&instance.image).into()),
            latent: Some((&instance.latent).into()),
            logits: Some((&instance.logits).into()),
            reconstruction: Some((&instance.reconstruction).into()),
            reconstruction_logits: Some((&instance.reconstruction_logits).into()),
        }
    }
}

impl TryFrom<Instance> for EncodedInstance {
    type Error = Error;

    fn try_from(instance: Instance) -> Result<Self> {
        Ok(Self {
            image: required_from("image", instance.image)?,
            latent: required_from("latent", instance.latent)?,
            logits: required_from("logits", instance.logits)?,
            reconstruction: required_from("reconstruction", instance.reconstruction)?,
            reconstruction_logits: required_from("reconstruction_logits", instance.reconstruction_logits)?,
        })
    }
}

/// An instance as bytes.
pub(super) fn encode_instance(instance: &EncodedInstance) -> Vec<u8> {
    Instance::from(instance).encode_to_vec()
}

/// An instance from bytes.
pub(super) fn decode_instance(bytes: &[u8]) -> Result<EncodedInstance> {
    read::<Instance>(bytes)?.try_into()
}

/// How many labelled neighbors there are, and how many of them a chunk has.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Manifest {
    /// In all.
    #[prost(uint32, tag = "1")]
    pub(super) neighbor_count: u32,
    /// In each chunk but the last.
    #[prost(uint32, tag = "2")]
    pub(super) chunk_length: u32,
}

/// A manifest from bytes.
pub(super) fn decode_manifest(bytes: &[u8]) -> Result<Manifest> {
    let manifest: Manifest = read(bytes)?;
    if manifest.chunk_length == 0 {
        return Err(Error::unexpected("a manifest of empty chunks"));
    }
    Ok(manifest)
}

#[derive(Clone, PartialEq, Message)]
struct Neighbors {
    #[prost(uint32, tag = "1")]
    channels: u32,
    #[prost(uint32, tag = "2")]
    height: u32,
    #[prost(uint32, tag = "3")]
    width: u32,
    /// Packed, one image after the other.
    #[prost(bytes = "vec", tag = "4")]
    pixels: Vec<u8>,
    /// Packed, one point after the other.
    #[prost(float, repeated, tag = "5")]
    points: Vec<f32>,
    /// Packed, one answer after the other.
    #[prost(float, repeated, tag = "6")]
    logits: Vec<f32>,
    #[prost(uint32, tag = "7")]
    label_count: u32,
}

/// Neighbors as bytes. `chunks` are of one shape.
pub(super) fn encode_chunk(chunk: &Chunk) -> Vec<u8> {
    let shape = chunk.images.shape();
    let neighbors = Neighbors {
        channels: shape.channels as u32,
        height: shape.height as u32,
        width: shape.width as u32,
        pixels: chunk.images.pixels().to_vec(),
        points: chunk.points.concat(),
        logits: flat_from_logits(&chunk.logits),
        label_count: chunk.logits.first().map_or(0, |logits| logits.label_count()) as u32,
    };
    neighbors.encode_to_vec()
}

/// Neighbors from bytes; as many points and answers as images, at least one.
pub(super) fn decode_chunk(bytes: &[u8]) -> Result<Chunk> {
    let neighbors: Neighbors = read(bytes)?;
    let shape = ImageShape::new(neighbors.channels as usize, neighbors.height as usize, neighbors.width as usize)?;
    let images = ImageBatch::new(shape, neighbors.pixels)?;
    let logits = logits_from_flat(&neighbors.logits, neighbors.label_count as usize)?;
    let count = images.len();
    if count == 0
        || logits.len() != count
        || neighbors.points.is_empty()
        || !neighbors.points.len().is_multiple_of(count)
    {
        return Err(Error::unexpected("a chunk with unequal numbers of images, points and answers"));
    }
    let dimension_count = neighbors.points.len() / count;
    let points = neighbors.points.chunks_exact(dimension_count).map(<[f32]>::to_vec).collect();
    Ok(Chunk { points, images, logits })
}

/// A snapshot without its neighbors, which are kept apart.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(uint32, tag = "1")]
    stage: u32,
    #[prost(uint32, tag = "2")]
    neighbor_count: u32,
    #[prost(message, optional, tag = "3")]
    instance: Option<Instance>,
    #[prost(message, optional, tag = "4")]
    student: Option<raw::FittedStudent>,
}

/// How far an answer is, as bytes, without its neighbors.
pub(super) fn encode_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    let answer = Answer {
        stage: snapshot.stage as u32,
        neighbor_count: snapshot.neighborhood.len() as u32,
        instance: snapshot.instance.as_deref().map(Into::into),
        student: snapshot.student.as_deref().map(Into::into),
    };
    answer.encode_to_vec()
}

/// A snapshot whose neighbors are still to be found, and how many they are.
pub(super) fn decode_snapshot(bytes: &[u8], question: &Question) -> Result<(Snapshot, usize)> {
    let answer: Answer = read(bytes)?;
    let stages = [Stage::Encoding, Stage::Labeling, Stage::Distilling, Stage::Complete];
    let stage = stages.into_iter().find(|&stage| stage as u32 == answer.stage);
    let instance: EncodedInstance = required_from("instance", answer.instance)?;
    if instance.image != question.image {
        return Err(Error::unexpected("an answer about another image"));
    }
    let fitted = answer.student.map(|fitted| student(question.student_name.clone(), fitted)).transpose()?;
    let snapshot = Snapshot {
        stage: required("stage", stage)?,
        instance: Some(Arc::new(instance)),
        student: fitted.map(Arc::new),
        ..Snapshot::default()
    };
    Ok((snapshot, answer.neighbor_count as usize))
}

fn read<T: Message + Default>(bytes: &[u8]) -> Result<T> {
    T::decode(bytes).map_err(Error::unexpected)
}
