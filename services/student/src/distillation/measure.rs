//! How well students imitate their teacher on neighbors that they have not seen: the numbers of
//! `domain::Fidelity`.

use domain::{
    InstanceFit, Label,
    label::{argmax, kl_divergence, softmax},
};

use super::{
    affine::Affine,
    samples::{FOLD_COUNT, Part, Samples},
};

/// Means below this are rounding: every probability is only known to about 1e-16 of itself.
const ROUNDING: f64 = 1e-12;

/// Sums over the neighbors that were held out so far.
#[derive(Debug, Default)]
pub(super) struct HeldOut {
    rows: Vec<usize>,
    agreed: usize,
    majority_hits: usize,
    kl: f64,
    constant_kl: f64,
    residual_squares: f64,
}

/// Means over all held-out neighbors; fields as in `domain::Fidelity`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct HeldOutFidelity {
    pub(super) neighbor_count: usize,
    pub(super) top1_agreement: f64,
    pub(super) majority_baseline: f64,
    pub(super) mean_kl: f64,
    pub(super) constant_kl: f64,
    pub(super) r_squared: f64,
}

impl HeldOut {
    /// Judges a student on one fold, which it must not have seen, beside the two baselines that know only
    /// what it was trained on. `temperature` is the one of the samples' targets.
    pub(super) fn add_fold(&mut self, samples: &Samples, fold: usize, student: &Affine, temperature: f64) {
        let training = Part::WithoutFold(fold).indices(samples.row_count);
        let majority = majority_label(samples, &training);
        let constant = mean_target(samples, &training);
        let held_out: Vec<usize> = (fold..samples.row_count).step_by(FOLD_COUNT).collect();
        let logits = student.logits(samples, &held_out);
        for (&row, logits) in held_out.iter().zip(logits.chunks_exact(samples.label_count)) {
            let scaled: Vec<f64> = logits.iter().map(|logit| logit / temperature).collect();
            let q = softmax(&scaled);
            let p = samples.labels_of(&samples.targets, row);
            self.agreed += usize::from(argmax(logits.iter().copied()) == samples.answers[row]);
            self.majority_hits += usize::from(majority == samples.answers[row]);
            self.kl += kl_divergence(p, &q);
            self.constant_kl += kl_divergence(p, &constant);
            self.residual_squares += p.iter().zip(&q).map(|(p, q)| (p - q) * (p - q)).sum::<f64>();
        }
        self.rows.extend(held_out);
    }

    pub(super) fn finish(self, samples: &Samples) -> HeldOutFidelity {
        let count = self.rows.len() as f64;
        let total_squares = total_squares(samples, &self.rows);
        // Without any variance there is nothing to explain, and nothing was.
        let varies = total_squares / count > ROUNDING * ROUNDING;
        let r_squared = if varies { 1.0 - self.residual_squares / total_squares } else { 0.0 };
        let mean_kl = |sum: f64| if sum / count > ROUNDING { sum / count } else { 0.0 };
        HeldOutFidelity {
            neighbor_count: self.rows.len(),
            top1_agreement: self.agreed as f64 / count,
            majority_baseline: self.majority_hits as f64 / count,
            mean_kl: mean_kl(self.kl),
            constant_kl: mean_kl(self.constant_kl),
            r_squared,
        }
    }
}

/// Neighbors by the teacher's answer, `[label]`.
pub(super) fn label_counts(samples: &Samples, rows: impl IntoIterator<Item = usize>) -> Vec<u64> {
    let mut counts = vec![0; samples.label_count];
    rows.into_iter().for_each(|row| counts[samples.answers[row]] += 1);
    counts
}

/// Student against teacher at the instance, at temperature 1.
pub(super) fn instance_fit(student: &[f64], teacher: &[f64]) -> InstanceFit {
    let label = Label(argmax(teacher.iter().copied()) as u32);
    let probability = |logits: &[f64]| softmax(logits)[label.index()];
    InstanceFit {
        agrees: argmax(student.iter().copied()) == label.index(),
        probability_gap: (probability(student) - probability(teacher)).abs(),
    }
}

fn majority_label(samples: &Samples, rows: &[usize]) -> usize {
    argmax(label_counts(samples, rows.iter().copied()).into_iter().map(|count| count as f64))
}

fn mean_target(samples: &Samples, rows: &[usize]) -> Vec<f64> {
    let mut mean = vec![0.0; samples.label_count];
    for &row in rows {
        let target = samples.labels_of(&samples.targets, row);
        mean.iter_mut().zip(target).for_each(|(sum, p)| *sum += p / rows.len() as f64);
    }
    mean
}

/// Σ (p − mean p of its class)² over rows and classes.
fn total_squares(samples: &Samples, rows: &[usize]) -> f64 {
    let mean = mean_target(samples, rows);
    let squares = |row: &usize| {
        let target = samples.labels_of(&samples.targets, *row);
        target.iter().zip(&mean).map(|(p, mean)| (p - mean) * (p - mean)).sum::<f64>()
    };
    rows.iter().map(squares).sum()
}
