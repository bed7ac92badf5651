//! What every solver reads: the neighbors' varying pixels, packed, and the teacher's answers to them.
//! No solver and no measure lives here.

use domain::{Error, Result, Temperature, label::argmax, label::softmax};

/// Folds of the cross-fitting; neighbor i is held out by fold i mod 5.
pub(crate) const FOLD_COUNT: usize = 5;

/// Rows that are turned into floating point at once: 255² × 256 is below 2²⁴, so that even an `f32` sum
/// of products of bytes over one block is exact.
pub(crate) const BLOCK_ROW_COUNT: usize = 256;

/// Which neighbors a fit sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Every one: the student that is shown.
    All,
    /// All but those with i mod 5 equal to this: held out for the measurement.
    WithoutFold(usize),
    /// Those with i mod 2 equal to this: the split-half stability.
    Half(usize),
}

impl Part {
    pub(crate) fn contains(self, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::WithoutFold(fold) => index % FOLD_COUNT != fold,
            Self::Half(half) => index % 2 == half,
        }
    }

    pub(crate) fn indices(self, row_count: usize) -> Vec<usize> {
        (0..row_count).filter(|&index| self.contains(index)).collect()
    }
}

/// Labelled neighbors in the form that solvers read. Bytes stay bytes until a block of them is needed.
#[derive(Debug)]
pub(crate) struct Samples {
    /// Neighbors.
    pub(crate) row_count: usize,
    /// Classes.
    pub(crate) label_count: usize,
    /// Positions in the image of the pixels that vary over neighbors and instance, ascending. The best
    /// weight of a pixel that never varies is 0, since the bias does its work without a penalty; so it
    /// is left out of every fit.
    pub(crate) active: Vec<usize>,
    /// `[row][active]`
    bytes: Vec<u8>,
    /// The instance's varying pixels, `[active]`.
    pub(crate) instance: Vec<u8>,
    /// Teacher's logits less their mean over classes, `[row][label]`.
    pub(crate) centered_logits: Vec<f64>,
    /// The same at the instance, `[label]`.
    pub(crate) instance_logits: Vec<f64>,
    /// Teacher's probabilities at the temperature, `[row][label]`.
    pub(crate) targets: Vec<f64>,
    /// The same at the instance, `[label]`.
    pub(crate) instance_target: Vec<f64>,
    /// Teacher's class of each neighbor, `[row]`.
    pub(crate) answers: Vec<usize>,
}

impl Samples {
    /// `pixels` is `[row][pixel]`, `logits` `[row][label]`; `instance` and `instance_logits` are one more
    /// such row. Fails when all neighbors are one and the same image.
    pub(crate) fn new(
        pixels: &[u8],
        logits: &[f32],
        instance: &[u8],
        instance_logits: &[f32],
        temperature: Temperature,
    ) -> Result<Self> {
        let (pixel_count, label_count) = (instance.len(), instance_logits.len());
        let row_count = pixels.len() / pixel_count;
        let varying = varying_pixels(pixels, pixel_count);
        if !varying.contains(&true) {
            return Err(Error::neighborhood_degenerate());
        }
        let differs = |pixel: usize| varying[pixel] || instance[pixel] != pixels[pixel];
        let active: Vec<usize> = (0..pixel_count).filter(|&pixel| differs(pixel)).collect();
        let pack = |row: &[u8]| active.iter().map(|&pixel| row[pixel]).collect::<Vec<u8>>();
        let at_temperature = |row: &[f32]| {
            let scaled: Vec<f64> = row.iter().map(|&logit| f64::from(logit) / temperature.get()).collect();
            softmax(&scaled)
        };
        Ok(Self {
            row_count,
            label_count,
            bytes: pixels.chunks_exact(pixel_count).flat_map(pack).collect(),
            instance: pack(instance),
            centered_logits: logits.chunks_exact(label_count).flat_map(centered).collect(),
            instance_logits: centered(instance_logits),
            targets: logits.chunks_exact(label_count).flat_map(at_temperature).collect(),
            instance_target: at_temperature(instance_logits),
            answers: logits.chunks_exact(label_count).map(answer).collect(),
            active,
        })
    }

    /// Varying pixels of one neighbor, `[active]`.
    pub(crate) fn row(&self, index: usize) -> &[u8] {
        let width = self.active.len();
        &self.bytes[index * width..(index + 1) * width]
    }

    /// Writes rows one after the other as numbers in 0 to 255, `[row][active]`.
    pub(crate) fn load<T: From<u8>>(&self, rows: &[usize], block: &mut Vec<T>) {
        block.clear();
        for &row in rows {
            block.extend(self.row(row).iter().map(|&byte| T::from(byte)));
        }
    }

    /// One row of a `[row][label]` table.
    pub(crate) fn labels_of<'a>(&self, table: &'a [f64], row: usize) -> &'a [f64] {
        &table[row * self.label_count..(row + 1) * self.label_count]
    }
}

/// Teacher's class: the first of the largest logits.
fn answer(logits: &[f32]) -> usize {
    argmax(logits.iter().map(|&logit| f64::from(logit)))
}

/// Logits less their mean over classes: softmax cannot see that mean, so no student has to imitate it.
fn centered(logits: &[f32]) -> Vec<f64> {
    let mean = logits.iter().map(|&logit| f64::from(logit)).sum::<f64>() / logits.len() as f64;
    logits.iter().map(|&logit| f64::from(logit) - mean).collect()
}

/// Whether a pixel takes more than one value, `[pixel]`.
fn varying_pixels(pixels: &[u8], pixel_count: usize) -> Vec<bool> {
    let first = &pixels[..pixel_count.min(pixels.len())];
    let mut differences = vec![0u8; pixel_count];
    for row in pixels.chunks_exact(pixel_count) {
        for (difference, (pixel, reference)) in differences.iter_mut().zip(row.iter().zip(first)) {
            *difference |= pixel ^ reference;
        }
    }
    differences.into_iter().map(|difference| difference != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pixels_that_vary_are_kept() {
        let pixels = [5, 0, 9, 5, 1, 9, 5, 2, 9];
        let samples = Samples::new(&pixels, &[0.0; 6], &[5, 0, 8], &[1.0, 3.0], Temperature::TWO).unwrap();
        assert_eq!(samples.active, [1, 2]);
        assert_eq!(samples.row(2), [2, 9]);
        assert_eq!(samples.instance, [0, 8]);
        assert_eq!(samples.instance_logits, [-1.0, 1.0]);
    }

    #[test]
    fn identical_neighbors_are_refused() {
        let error = Samples::new(&[1, 2, 1, 2], &[0.0; 4], &[0, 0], &[0.0, 1.0], Temperature::TWO).unwrap_err();
        assert_eq!(error, Error::neighborhood_degenerate());
    }

    #[test]
    fn folds_and_halves_cover_each_neighbor_the_same_number_of_times() {
        let seen = |parts: &[Part], index| parts.iter().filter(|part| part.contains(index)).count();
        let folds: Vec<Part> = (0..FOLD_COUNT).map(Part::WithoutFold).collect();
        for index in 0..50 {
            assert_eq!(seen(&folds, index), 4);
            assert_eq!(seen(&[Part::Half(0), Part::Half(1)], index), 1);
        }
        assert_eq!(Part::Half(1).indices(5), [1, 3]);
    }
}
