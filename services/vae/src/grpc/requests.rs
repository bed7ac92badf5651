//! What is read from requests beyond single messages: names, points that a caller chose, chunks.

use std::ops::Range;

use domain::{AutoencoderRecipe, Error, NeighborhoodSpec, ResourceName, Result, Violations};
use proto::{
    fields::{required_from, under},
    raw::deeper::{types::v1 as types, vae::v1 as raw},
};

use crate::model::MAX_CALL_SIZE;

/// Neighbors of a chunk whose size the caller left open.
const DEFAULT_CHUNK_SIZE: u32 = 250;

pub(super) fn autoencoder_name(name: &str) -> Result<ResourceName> {
    under("autoencoder", ResourceName::parse(name, ResourceName::AUTOENCODER))
}

pub(super) fn training_request(request: raw::TrainAutoencoderRequest) -> Result<(ResourceName, AutoencoderRecipe)> {
    let mut violations = Violations::default();
    let name = violations.take("", autoencoder_name(&request.autoencoder));
    let recipe = violations.take("", required_from("recipe", request.recipe));
    violations.finish()?;
    name.zip(recipe).ok_or_else(|| Error::unexpected("a field without value and without violation"))
}

/// Points that a caller chose; what they must not be is told for all of them.
pub(super) fn points(latents: Vec<types::LatentPoint>) -> Result<Vec<Vec<f32>>> {
    let limit = NeighborhoodSpec::MAX_COORDINATE;
    let mut violations = Violations::default();
    for (i, point) in latents.iter().take(MAX_CALL_SIZE).enumerate() {
        let within = point.coordinates.iter().all(|value| value.abs() <= limit);
        violations
            .check(within, &format!("latents[{i}]"), || format!("coordinates must be finite and within ±{limit}"));
    }
    violations.finish()?;
    Ok(latents.into_iter().map(|point| point.coordinates).collect())
}

/// Consecutive parts of the wanted neighbors. The last size repeats.
pub(super) fn chunks(wanted: Range<usize>, sizes: &[u32], largest: usize) -> Result<Vec<Range<usize>>> {
    let mut violations = Violations::default();
    violations.check(!wanted.is_empty(), "start_index", || format!("{} is not below {}", wanted.start, wanted.end));
    violations.check(sizes.len() <= wanted.end, "chunk_sizes", || format!("{} sizes for {}", sizes.len(), wanted.end));
    let misfit = sizes.iter().find(|&&size| size == 0 || size as usize > largest);
    violations.check(misfit.is_none(), "chunk_sizes", || {
        format!("{} is outside 1 to {largest}", misfit.copied().unwrap_or_default())
    });
    violations.finish()?;
    let default = DEFAULT_CHUNK_SIZE.min(largest.max(1) as u32);
    let last = *sizes.last().unwrap_or(&default);
    let mut start = wanted.start;
    let mut chunks = Vec::new();
    for &size in sizes.iter().chain(std::iter::repeat(&last)) {
        if start >= wanted.end {
            break;
        }
        let end = wanted.end.min(start + size as usize);
        chunks.push(start..end);
        start = end;
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_what_is_wanted_and_the_last_size_repeats() {
        let cut = |range, sizes: &[u32]| chunks(range, sizes, 1_024).unwrap();
        assert_eq!(cut(0..600, &[]), [0..250, 250..500, 500..600]);
        assert_eq!(cut(0..200, &[64, 50]), [0..64, 64..114, 114..164, 164..200]);
        assert_eq!(cut(100..170, &[64]), [100..164, 164..170]);
    }

    #[test]
    fn chunks_that_cannot_be_are_named() {
        for (range, sizes, field) in
            [(5..5, vec![], "start_index"), (0..9, vec![0], "chunk_sizes"), (0..9_999, vec![1_025], "chunk_sizes")]
        {
            let error = chunks(range, &sizes, 1_024).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
