//! Labelled neighbors as they accumulate: chunks that never change, so that a snapshot is cheap.

use std::sync::Arc;

use domain::{ImageBatch, LatentRange, Logits, Neighbor, Temperature};

/// Neighbors with the teacher's answers, in the order of their indices.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// One point a neighbor.
    pub points: Vec<Vec<f32>>,
    /// One image a neighbor.
    pub images: ImageBatch,
    /// One answer a neighbor.
    pub logits: Vec<Logits>,
}

impl Chunk {
    /// Neighbors `start..end` of this chunk.
    fn slice(&self, start: usize, end: usize) -> Self {
        Self {
            points: self.points[start..end].to_vec(),
            images: self.images.slice(start, end),
            logits: self.logits[start..end].to_vec(),
        }
    }

    /// Adds neighbors of the same instance.
    fn append(&mut self, other: Self) {
        self.points.extend(other.points);
        self.images.extend(&other.images).expect("all neighbors have the instance's shape");
        self.logits.extend(other.logits);
    }

    fn neighbor(&self, position: usize, index: u64, with_image: bool) -> Neighbor {
        Neighbor {
            index,
            latent: self.points[position].clone(),
            soft_labels: self.logits[position].soft_labels(Temperature::ONE),
            image: if with_image { self.images.image(position) } else { None },
        }
    }
}

/// A growing set: index 0 is the first neighbor of the first chunk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Neighborhood {
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl Neighborhood {
    /// Appends the next neighbors.
    pub fn push(&mut self, chunk: Chunk) {
        self.len += chunk.logits.len();
        self.chunks.push(Arc::new(chunk));
    }

    /// Number of neighbors.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks in order.
    pub fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.iter().map(AsRef::as_ref)
    }

    /// The first `count` neighbors: what a smaller request with the same seed would have made.
    pub fn prefix(&self, count: usize) -> Self {
        let mut prefix = Self::default();
        for chunk in &self.chunks {
            let missing = count - prefix.len;
            if missing >= chunk.logits.len() {
                prefix.len += chunk.logits.len();
                prefix.chunks.push(Arc::clone(chunk));
            } else if missing > 0 {
                prefix.push(chunk.slice(0, missing));
            }
        }
        prefix
    }

    /// Neighbors `start..end` as one chunk, clipped to what is there; `None` if that is nothing.
    pub fn range(&self, start: usize, end: usize) -> Option<Chunk> {
        let mut range: Option<Chunk> = None;
        let mut first = 0;
        for chunk in &self.chunks {
            let after = first + chunk.logits.len();
            let (from, to) = (start.max(first), end.min(after));
            if from < to {
                let part = chunk.slice(from - first, to - first);
                match &mut range {
                    Some(range) => range.append(part),
                    None => range = Some(part),
                }
            }
            first = after;
        }
        range
    }

    /// Neighbors `start..end` as resources, clipped to what is there.
    pub fn page(&self, start: usize, end: usize, with_images: bool) -> Vec<Neighbor> {
        let mut page = Vec::new();
        let mut first = 0;
        for chunk in &self.chunks {
            let after = first + chunk.logits.len();
            for index in start.max(first)..end.min(after) {
                page.push(chunk.neighbor(index - first, index as u64, with_images));
            }
            first = after;
        }
        page
    }

    /// The first `limit` neighbors that lie inside all bands, in chunks of at most `chunk_size`.
    pub fn select(&self, ranges: &[LatentRange], limit: usize, chunk_size: usize) -> Vec<Chunk> {
        let inside = |point: &[f32]| {
            ranges.iter().all(|range| point.get(range.dimension).is_some_and(|z| (range.low..=range.high).contains(z)))
        };
        let mut selected: Vec<Chunk> = Vec::new();
        let all = self.chunks.iter().flat_map(|chunk| (0..chunk.logits.len()).map(move |position| (chunk, position)));
        for (chunk, position) in all.filter(|(chunk, position)| inside(&chunk.points[*position])).take(limit) {
            let one = chunk.slice(position, position + 1);
            match selected.last_mut().filter(|last| last.logits.len() < chunk_size) {
                Some(last) => last.append(one),
                None => selected.push(one),
            }
        }
        selected
    }

    /// Whether every image is the same, byte by byte: there is nothing to learn from.
    pub fn is_degenerate(&self) -> bool {
        let mut images = self.chunks.iter().flat_map(|chunk| chunk.images.iter());
        let first = images.next();
        images.all(|image| Some(image) == first)
    }

    /// Bytes held, for the cache's bound.
    pub fn byte_count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.images.pixels().len() + chunk.logits.len() * 128).sum()
    }
}

#[cfg(test)]
mod tests {
    use domain::ImageShape;

    use super::*;

    fn chunk(values: &[u8]) -> Chunk {
        Chunk {
            points: values.iter().map(|&value| vec![f32::from(value)]).collect(),
            images: ImageBatch::new(ImageShape::gray(1, 1), values.to_vec()).unwrap(),
            logits: values.iter().map(|&value| Logits::new(vec![f32::from(value), 0.0]).unwrap()).collect(),
        }
    }

    fn neighborhood() -> Neighborhood {
        let mut neighborhood = Neighborhood::default();
        neighborhood.push(chunk(&[1, 2, 3]));
        neighborhood.push(chunk(&[4, 5]));
        neighborhood
    }

    #[test]
    fn pages_cross_chunks_and_are_clipped() {
        let indices = |start, end| neighborhood().page(start, end, false).iter().map(|n| n.index).collect::<Vec<_>>();
        assert_eq!(indices(1, 4), [1, 2, 3]);
        assert_eq!(indices(4, 100), [4]);
        assert!(indices(5, 6).is_empty());
    }

    #[test]
    fn a_prefix_is_what_a_smaller_request_would_have_made() {
        let prefix = neighborhood().prefix(4);
        assert_eq!(prefix.len(), 4);
        assert_eq!(prefix.page(0, 9, true), neighborhood().page(0, 4, true));
        assert_eq!(neighborhood().prefix(9), neighborhood());
    }

    #[test]
    fn a_range_joins_chunks_and_is_clipped() {
        let range = |start, end| neighborhood().range(start, end).map(|chunk| chunk.images.pixels().to_vec());
        assert_eq!(range(1, 4), Some(vec![2, 3, 4]));
        assert_eq!(range(3, 100), Some(vec![4, 5]));
        assert_eq!(range(5, 6), None);
        assert_eq!(range(2, 2), None);
    }

    #[test]
    fn selection_keeps_order_bands_and_limit() {
        let band = LatentRange { dimension: 0, low: 2.0, high: 5.0 };
        let selected = neighborhood().select(&[band], 3, 2);
        let values: Vec<Vec<u8>> = selected.iter().map(|chunk| chunk.images.pixels().to_vec()).collect();
        assert_eq!(values, [vec![2, 3], vec![4]]);
    }

    #[test]
    fn equal_images_are_degenerate() {
        let mut same = Neighborhood::default();
        same.push(chunk(&[7, 7]));
        assert!(same.is_degenerate());
        assert!(!neighborhood().is_degenerate());
    }
}
