//! Mini-batch Adam (Kingma & Ba 2015, algorithm 1) over an order of batches that a seed decides.

use domain::Result;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{
    distillation::{affine::Affine, progress::Steps},
    objective::{Loss, SoftCrossEntropy},
};

/// Decay of the running mean of gradients.
const FIRST_DECAY: f64 = 0.9;
/// Decay of the running mean of squared gradients.
const SECOND_DECAY: f64 = 0.999;
/// Keeps a step finite where no gradient was seen yet.
const EPSILON: f64 = 1e-8;
/// The rate falls in a straight line to this share of itself: at a constant rate, the last batches would
/// leave their noise in the map.
const FINAL_RATE: f64 = 0.1;

/// How to go through the neighbors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) epoch_count: u32,
    pub(crate) batch_size: u32,
    pub(crate) learning_rate: f64,
    pub(crate) seed: u64,
}

/// Fits from zero. Fails when it diverges or is stopped, which it can be after each epoch.
pub(crate) fn fit(
    objective: &SoftCrossEntropy,
    mut rows: Vec<usize>,
    schedule: Schedule,
    steps: &mut Steps,
) -> Result<Affine> {
    let mut student = Affine::zeros(objective.samples.active.len(), objective.samples.label_count);
    let mut gradient = vec![0.0; student.parameters.len()];
    let (mut first, mut second) = (gradient.clone(), gradient.clone());
    let mut order = ChaCha8Rng::seed_from_u64(schedule.seed);
    let batch_count = rows.len().div_ceil(schedule.batch_size as usize);
    let step_count = batch_count as f64 * f64::from(schedule.epoch_count);
    let mut step = 0;
    for _ in 0..schedule.epoch_count {
        shuffle(&mut rows, &mut order);
        let mut epoch_loss = Loss { data: 0.0, penalty: 0.0 };
        for batch in rows.chunks(schedule.batch_size as usize) {
            let loss = objective.evaluate(batch, &student, &mut gradient);
            let share = batch.len() as f64 / rows.len() as f64;
            epoch_loss.data += share * loss.data;
            epoch_loss.penalty = loss.penalty;
            let rate = schedule.learning_rate * (1.0 - (1.0 - FINAL_RATE) * f64::from(step) / step_count);
            step += 1;
            let first_correction = 1.0 - FIRST_DECAY.powi(step);
            let second_correction = 1.0 - SECOND_DECAY.powi(step);
            let moments = first.iter_mut().zip(second.iter_mut());
            for ((parameter, slope), (m, v)) in student.parameters.iter_mut().zip(&gradient).zip(moments) {
                *m = FIRST_DECAY * *m + (1.0 - FIRST_DECAY) * slope;
                *v = SECOND_DECAY * *v + (1.0 - SECOND_DECAY) * slope * slope;
                *parameter -= rate * (*m / first_correction) / ((*v / second_correction).sqrt() + EPSILON);
            }
        }
        steps.advance(epoch_loss.total())?;
    }
    let final_loss = objective.evaluate(&rows, &student, &mut gradient);
    objective.refuse_divergence(final_loss)?;
    Ok(student.centered_over_labels())
}

/// Fisher and Yates's shuffle, written out so that no library's new version changes an order of batches.
pub(crate) fn shuffle(rows: &mut [usize], random: &mut ChaCha8Rng) {
    for last in (1..rows.len()).rev() {
        // The high half of a 64-bit product: at most 2⁻³² away from uniform for any list we take.
        let choice = (u64::from(random.next_u32()) * (last as u64 + 1)) >> 32;
        rows.swap(last, choice as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_every_row_once_and_depends_on_its_seed_alone() {
        let shuffled = |seed| {
            let mut rows: Vec<usize> = (0..100).collect();
            shuffle(&mut rows, &mut ChaCha8Rng::seed_from_u64(seed));
            rows
        };
        assert_eq!(shuffled(1), shuffled(1));
        assert_ne!(shuffled(1), shuffled(2));
        let mut sorted = shuffled(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }
}
