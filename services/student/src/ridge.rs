//! Closed-form ridge on centered logits: the default solver. It minimizes over W and b
//! (1/n) Σ |y − W x − b|² + w |y₀ − W x₀ − b|² + λ |W|², where x₀ is the instance and w its own weight.
//!
//! Which of two equal forms is solved is a matter of speed: over pixels, or over neighbors (the dual).

mod kernel;
mod pixel_grams;

use domain::{Error, Result};
use faer::{
    Mat, Par, Spec,
    dyn_stack::{MemBuffer, MemStack},
    linalg::cholesky::llt,
};

use crate::distillation::{
    affine::Affine,
    samples::{Part, Samples},
};
use kernel::Kernel;
use pixel_grams::PixelGrams;

/// Sums over neighbors that every fit on a part of them shares.
pub(crate) struct Ridge<'a> {
    samples: &'a Samples,
    form: Form,
}

enum Form {
    OverPixels(PixelGrams),
    OverNeighbors(Kernel),
}

impl<'a> Ridge<'a> {
    pub(crate) fn new(samples: &'a Samples) -> Self {
        // Cholesky costs side³/3. Over pixels all eight systems have full size; over neighbors they have
        // one of N, five of 0.8 N and two of 0.5 N, together 3.8 N³: (8 / 3.8)^(1/3) = 1.28.
        let over_neighbors = samples.row_count as f64 <= 1.28 * samples.active.len() as f64;
        let form = if over_neighbors {
            Form::OverNeighbors(Kernel::new(samples))
        } else {
            Form::OverPixels(PixelGrams::new(samples))
        };
        Self { samples, form }
    }

    /// Fits to a part of the neighbors. `l2` is λ.
    pub(crate) fn solve(&self, part: Part, l2: f64) -> Result<RidgeSolution> {
        match &self.form {
            Form::OverPixels(grams) => grams.solve(self.samples, part, l2),
            Form::OverNeighbors(kernel) => kernel.solve(self.samples, part, l2),
        }
    }
}

/// A fit without the instance, and what is needed to add the instance at any weight without solving again.
#[derive(Debug, Clone)]
pub(crate) struct RidgeSolution {
    /// W without the instance, `[active × label]`, per unit of ink.
    weights: Mat<f64>,
    /// G⁻¹ d, `[active]`, with G the penalized scatter of the neighbors.
    direction: Vec<f64>,
    /// d = x₀ − mean x, `[active]`, in units of ink.
    offset: Vec<f64>,
    /// Mean x of the neighbors, `[active]`, in units of ink.
    mean_pixels: Vec<f64>,
    /// Mean y of the neighbors, `[label]`.
    mean_logits: Vec<f64>,
    /// Neighbors of the part.
    row_count: usize,
}

impl RidgeSolution {
    /// One more row x₀ of weight v = w n moves the mean by v/(n+v) d and adds c d dᵀ to the scatter, with
    /// c = n v/(n+v); Sherman and Morrison 1950 give the new solution from G⁻¹ d alone.
    pub(crate) fn with_instance(&self, samples: &Samples, instance_weight: f64) -> Affine {
        let (pixel_count, label_count) = (self.offset.len(), self.mean_logits.len());
        let share = instance_weight / (1.0 + instance_weight);
        let pull = self.row_count as f64 * share;
        let gain = pull / (1.0 + pull * dot(&self.offset, &self.direction));
        let mut affine = Affine::zeros(pixel_count, label_count);
        for label in 0..label_count {
            let weights = self.weights.col_as_slice(label);
            let missed = samples.instance_logits[label] - self.mean_logits[label];
            let residual = missed - dot(weights, &self.offset);
            let fitted = &mut affine.parameters[label * pixel_count..(label + 1) * pixel_count];
            for (fitted, (weight, direction)) in fitted.iter_mut().zip(weights.iter().zip(&self.direction)) {
                *fitted = weight + gain * residual * direction;
            }
            let bias = self.mean_logits[label] + share * missed
                - dot(fitted, &self.mean_pixels)
                - share * dot(fitted, &self.offset);
            affine.parameters[label_count * pixel_count + label] = bias;
        }
        affine
    }
}

/// Solves a positive definite system in place; only the lower triangle of `matrix` is read.
fn solve_in_place(matrix: &mut Mat<f64>, right_hand_sides: &mut Mat<f64>) -> Result<()> {
    let size = matrix.nrows();
    let scratch = llt::factor::cholesky_in_place_scratch::<f64>(size, Par::Seq, Spec::default());
    let mut buffer = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut buffer);
    let regularization = llt::factor::LltRegularization::default();
    llt::factor::cholesky_in_place(matrix.as_mut(), regularization, Par::Seq, stack, Spec::default())
        .map_err(|error| Error::unexpected(format!("penalized scatter matrix is not positive definite: {error:?}")))?;
    llt::solve::solve_in_place(matrix.as_ref(), right_hand_sides.as_mut(), Par::Seq, stack);
    Ok(())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Mean logits of rows, `[label]`.
fn mean_logits(samples: &Samples, rows: &[usize]) -> Vec<f64> {
    let mut sums = vec![0.0; samples.label_count];
    for &row in rows {
        let logits = samples.labels_of(&samples.centered_logits, row);
        sums.iter_mut().zip(logits).for_each(|(sum, logit)| *sum += logit);
    }
    sums.iter().map(|sum| sum / rows.len() as f64).collect()
}

#[cfg(test)]
mod tests;
