//! What the iterative solvers minimize: soft cross-entropy with a penalty on the weights, and its gradient.
//! All logits here are divided by the temperature.

use domain::{Error, Result};
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};

use crate::distillation::{
    affine::Affine,
    samples::{BLOCK_ROW_COUNT, Samples},
};

/// (1/n) Σ H(p, softmax(W x + b)) + w H(p₀, softmax(W x₀ + b)) + (λ/2) |W|², with x₀ the instance and w its
/// own weight. The bias is free.
pub(crate) struct SoftCrossEntropy<'a> {
    pub(crate) samples: &'a Samples,
    /// Teacher's probabilities, `[row][label]`.
    pub(crate) targets: &'a [f64],
    /// w
    pub(crate) instance_weight: f64,
    /// λ
    pub(crate) l2: f64,
}

/// The two terms of the objective, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Loss {
    /// Cross-entropy, with the instance's share.
    pub(crate) data: f64,
    /// (λ/2) |W|²
    pub(crate) penalty: f64,
}

impl Loss {
    pub(crate) fn total(self) -> f64 {
        self.data + self.penalty
    }
}

impl SoftCrossEntropy<'_> {
    /// The objective over some neighbors, and its gradient, laid out as [`Affine::parameters`].
    pub(crate) fn evaluate(&self, rows: &[usize], student: &Affine, gradient: &mut [f64]) -> Loss {
        let (pixel_count, label_count) = (student.pixel_count, student.label_count);
        let weight_count = pixel_count * label_count;
        let squares: f64 = student.parameters[..weight_count].iter().map(|weight| weight * weight).sum();
        let penalty = self.l2 / 2.0 * squares;
        let (weights, biases) = gradient.split_at_mut(weight_count);
        for (slope, weight) in weights.iter_mut().zip(&student.parameters) {
            *slope = self.l2 * weight;
        }
        biases.fill(0.0);

        let mut data = 0.0;
        let (mut block, mut residuals) = (Vec::new(), Vec::new());
        let row_weight = 1.0 / rows.len() as f64;
        for rows in rows.chunks(BLOCK_ROW_COUNT) {
            self.samples.load::<f64>(rows, &mut block);
            let targets = rows.iter().map(|&row| self.samples.labels_of(self.targets, row));
            data += add_gradient(student, &block, targets, row_weight, &mut residuals, gradient);
        }
        if self.instance_weight > 0.0 {
            let block: Vec<f64> = self.samples.instance.iter().map(|&byte| f64::from(byte)).collect();
            let target = std::iter::once(self.samples.instance_target.as_slice());
            data += add_gradient(student, &block, target, self.instance_weight, &mut residuals, gradient);
        }
        Loss { data, penalty }
    }

    /// Refuses a fit that is not finite or does worse than calling all classes equally likely, which is
    /// where a fit from zero starts.
    pub(crate) fn refuse_divergence(&self, loss: Loss) -> Result<()> {
        let uniform = (1.0 + self.instance_weight) * (self.samples.label_count as f64).ln();
        if loss.data <= uniform && loss.penalty.is_finite() {
            return Ok(());
        }
        Err(Error::DistillationDiverged {
            description: format!(
                "the loss ended at {:.3} nats, where equal probabilities for all classes give {uniform:.3}: choose a \
                 smaller learning rate, a larger L2 penalty or a higher temperature",
                loss.data
            ),
        })
    }
}

/// Adds the gradient of `row_weight` Σ H(p, softmax(W x + b)) over a block `[row][active]` of pixels in 0 to
/// 255; returns the loss. `residuals` is scratch.
fn add_gradient<'t>(
    student: &Affine,
    block: &[f64],
    targets: impl ExactSizeIterator<Item = &'t [f64]>,
    row_weight: f64,
    residuals: &mut Vec<f64>,
    gradient: &mut [f64],
) -> f64 {
    let (pixel_count, label_count, row_count) = (student.pixel_count, student.label_count, targets.len());
    residuals.clear();
    (0..row_count).for_each(|_| residuals.extend_from_slice(student.biases()));
    student.add_products(block, residuals);
    let (weights, biases) = gradient.split_at_mut(pixel_count * label_count);
    let mut loss = 0.0;
    for (logits, target) in residuals.chunks_exact_mut(label_count).zip(targets) {
        let log_sum = log_sum_exp(logits);
        for ((logit, p), bias) in logits.iter_mut().zip(target).zip(biases.iter_mut()) {
            let log_q = *logit - log_sum;
            if *p > 0.0 {
                loss -= row_weight * p * log_q;
            }
            // ∂H/∂logit = q − p
            *logit = row_weight * (log_q.exp() - p);
            *bias += *logit;
        }
    }
    let x = MatRef::from_row_major_slice(block, row_count, pixel_count); // [row × active]
    let r = MatRef::from_row_major_slice(residuals.as_slice(), row_count, label_count); // [row × label]
    let slopes = MatMut::from_column_major_slice_mut(weights, pixel_count, label_count); // [active × label]
    matmul(slopes, Accum::Add, x.transpose(), r, 1.0 / 255.0, Par::Seq);
    loss
}

fn log_sum_exp(logits: &[f64]) -> f64 {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + logits.iter().map(|logit| (logit - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::samples;

    #[test]
    fn the_gradient_is_what_finite_differences_say() {
        let samples = samples(300, 9, 3);
        let objective =
            SoftCrossEntropy { samples: &samples, targets: &samples.targets, instance_weight: 0.3, l2: 0.01 };
        let rows: Vec<usize> = (0..300).collect();
        let mut student = Affine::zeros(samples.active.len(), 3);
        for (position, parameter) in student.parameters.iter_mut().enumerate() {
            *parameter = (position as f64 * 1.7).sin();
        }
        let mut gradient = vec![f64::NAN; student.parameters.len()];
        objective.evaluate(&rows, &student, &mut gradient);
        let mut scratch = gradient.clone();
        for (position, slope) in gradient.iter().enumerate() {
            let mut at = |shift: f64| {
                let mut moved = student.clone();
                moved.parameters[position] += shift;
                objective.evaluate(&rows, &moved, &mut scratch).total()
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope - difference).abs() < 1e-8, "{position}");
        }
    }

    #[test]
    fn from_zero_the_loss_is_that_of_equal_probabilities() {
        let samples = samples(40, 9, 3);
        let objective =
            SoftCrossEntropy { samples: &samples, targets: &samples.targets, instance_weight: 0.5, l2: 1.0 };
        let student = Affine::zeros(samples.active.len(), 3);
        let mut gradient = vec![0.0; student.parameters.len()];
        let loss = objective.evaluate(&[0, 1, 2], &student, &mut gradient);
        assert!((loss.data - 1.5 * 3f64.ln()).abs() < 1e-12);
        assert_eq!(loss.penalty, 0.0);
        assert_eq!(objective.refuse_divergence(loss), Ok(()));
        for data in [f64::NAN, f64::INFINITY, 1.7] {
            let diverged = objective.refuse_divergence(Loss { data, penalty: 0.0 });
            assert!(matches!(diverged, Err(Error::DistillationDiverged { .. })));
        }
    }
}
