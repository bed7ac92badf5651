//! A student of chosen neighbors: only those in certain bands, or only the first so many. The student
//! service sees pixels alone, so the choice is made here.

use domain::{Error, NeighborhoodSpec, ResourceName, Result, StudentSpec, explanation::contrast_label};

use super::{instance::EncodedInstance, neighborhood::Neighborhood};
use crate::{
    explain::{CHUNK_SIZE, Question},
    ports::{DistillationConfig, LabeledChunk},
};

/// Whether a student takes less than all neighbors.
pub fn chooses(spec: &StudentSpec, neighbor_count: usize) -> bool {
    !spec.ranges.is_empty() || spec.neighbor_limit.is_some_and(|limit| limit < neighbor_count)
}

/// What to send for a student of `neighborhood`. Too few chosen neighbors are the caller's mistake.
pub fn order(
    name: ResourceName,
    spec: &StudentSpec,
    question: &Question,
    instance: &EncodedInstance,
    neighborhood: &Neighborhood,
) -> Result<(DistillationConfig, Vec<LabeledChunk>)> {
    let limit = spec.neighbor_limit.unwrap_or(usize::MAX);
    let chosen = neighborhood.select(&spec.ranges, limit, CHUNK_SIZE);
    let neighbor_count: usize = chosen.iter().map(|chunk| chunk.logits.len()).sum();
    let fewest = NeighborhoodSpec::MIN_NEIGHBOR_COUNT;
    if neighbor_count < fewest {
        let message = format!("leave {neighbor_count} neighbors; a student needs {fewest}");
        return Err(Error::invalid("ranges", message));
    }
    let config = DistillationConfig {
        name,
        spec: StudentSpec { ranges: Vec::new(), neighbor_limit: None, ..spec.clone() },
        instance: question.image.clone(),
        instance_logits: instance.logits.clone(),
        contrast_label: contrast_label(&instance.logits, question.gold_label),
        neighbor_count,
    };
    let chunks = chosen
        .into_iter()
        .map(|chunk| LabeledChunk { images: chunk.images, logits: chunk.logits, fit: false })
        .collect();
    Ok((config, chunks))
}
