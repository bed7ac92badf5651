//! The fitted function on the varying pixels alone: logits = W x + b. The full picture is
//! `domain::LinearClassifier`; this is what solvers pass around.

use domain::{ImageShape, LinearClassifier, Result};
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};

use super::samples::{BLOCK_ROW_COUNT, Samples};

/// One weight a label and varying pixel, then one bias a label: `[label][active]` and `[label]` in one
/// vector, which is also the vector that iterative solvers move. Weights are per unit of ink.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Affine {
    pub(crate) pixel_count: usize,
    pub(crate) label_count: usize,
    pub(crate) parameters: Vec<f64>,
}

impl Affine {
    pub(crate) fn zeros(pixel_count: usize, label_count: usize) -> Self {
        Self { pixel_count, label_count, parameters: vec![0.0; (pixel_count + 1) * label_count] }
    }

    /// `[active × label]`
    pub(crate) fn weights(&self) -> MatRef<'_, f64> {
        let (weights, _) = self.parameters.split_at(self.pixel_count * self.label_count);
        MatRef::from_column_major_slice(weights, self.pixel_count, self.label_count)
    }

    /// `[active]` of one label.
    pub(crate) fn weights_of(&self, label: usize) -> &[f64] {
        &self.parameters[label * self.pixel_count..(label + 1) * self.pixel_count]
    }

    /// `[label]`
    pub(crate) fn biases(&self) -> &[f64] {
        &self.parameters[self.pixel_count * self.label_count..]
    }

    /// The same function with its answer multiplied.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        self.parameters.iter_mut().for_each(|parameter| *parameter *= factor);
        self
    }

    /// Takes each pixel's mean over classes away: no probability changes, and maps can be compared.
    pub(crate) fn centered_over_labels(mut self) -> Self {
        let width = self.pixel_count;
        let bias_start = width * self.label_count;
        let positions = |pixel: usize, label: usize| {
            if pixel < width { label * width + pixel } else { bias_start + label }
        };
        for pixel in 0..=width {
            let sum: f64 = (0..self.label_count).map(|label| self.parameters[positions(pixel, label)]).sum();
            let mean = sum / self.label_count as f64;
            (0..self.label_count).for_each(|label| self.parameters[positions(pixel, label)] -= mean);
        }
        self
    }

    /// Logits of neighbors, `[row][label]`.
    pub(crate) fn logits(&self, samples: &Samples, rows: &[usize]) -> Vec<f64> {
        let mut logits = Vec::with_capacity(rows.len() * self.label_count);
        let mut block = Vec::new();
        for rows in rows.chunks(BLOCK_ROW_COUNT) {
            samples.load::<f64>(rows, &mut block);
            let start = logits.len();
            logits.extend(rows.iter().flat_map(|_| self.biases()));
            self.add_products(&block, &mut logits[start..]);
        }
        logits
    }

    /// Logits at the instance, `[label]`.
    pub(crate) fn instance_logits(&self, samples: &Samples) -> Vec<f64> {
        let block: Vec<f64> = samples.instance.iter().map(|&byte| f64::from(byte)).collect();
        let mut logits = self.biases().to_vec();
        self.add_products(&block, &mut logits);
        logits
    }

    /// `logits[row][label] += W x` for a block `[row][active]` of pixels in 0 to 255.
    pub(crate) fn add_products(&self, block: &[f64], logits: &mut [f64]) {
        let row_count = logits.len() / self.label_count;
        let pixels = MatRef::from_row_major_slice(block, row_count, self.pixel_count); // [row × active]
        let products = MatMut::from_row_major_slice_mut(logits, row_count, self.label_count); // [row × label]
        matmul(products, Accum::Add, pixels, self.weights(), 1.0 / 255.0, Par::Seq);
    }

    /// The full picture: pixels that never vary have weight 0.
    pub(crate) fn into_classifier(self, samples: &Samples, shape: ImageShape) -> Result<LinearClassifier> {
        let full_map = |label: usize| {
            let mut map = vec![0.0; shape.pixel_count()];
            for (&pixel, &weight) in samples.active.iter().zip(self.weights_of(label)) {
                map[pixel] = weight;
            }
            map
        };
        let weights = (0..self.label_count).map(full_map).collect();
        LinearClassifier::new(shape, weights, self.biases().to_vec())
    }
}
