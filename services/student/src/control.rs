//! The negative control of the trust measurement: a student as a naive pipeline would train it, on hard
//! labels with plain SGD. The measures have to show that it is worse; no service offers it.

use domain::{Result, Student};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    adam::shuffle,
    distillation::{Distiller, affine::Affine},
    objective::SoftCrossEntropy,
};

/// How the control is trained: no penalty, no weight of the instance's own, temperature 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HardLabelSgd {
    /// Passes over the neighbors.
    pub epoch_count: u32,
    /// Neighbors a step.
    pub batch_size: usize,
    /// Constant.
    pub learning_rate: f64,
    /// Order of the batches.
    pub seed: u64,
}

impl Default for HardLabelSgd {
    /// 50 epochs of 64 at 0.01.
    fn default() -> Self {
        Self { epoch_count: 50, batch_size: 64, learning_rate: 0.01, seed: 7 }
    }
}

/// Trains the control on the distiller's neighbors and measures it exactly as a student with an iterative
/// solver is measured, at the distiller's temperature.
pub fn distill_hard_labels(distiller: &Distiller, recipe: HardLabelSgd) -> Result<Student> {
    let samples = distiller.samples(distiller.temperature())?;
    let mut one_hot = vec![0.0; samples.row_count * samples.label_count];
    for (row, &answer) in samples.answers.iter().enumerate() {
        one_hot[row * samples.label_count + answer] = 1.0;
    }
    let objective = SoftCrossEntropy { samples: &samples, targets: &one_hot, instance_weight: 0.0, l2: 0.0 };
    distiller.assess(&samples, 1, 0.0, |part, _| {
        let mut rows = part.indices(samples.row_count);
        let mut student = Affine::zeros(samples.active.len(), samples.label_count);
        let mut gradient = vec![0.0; student.parameters.len()];
        let mut order = ChaCha8Rng::seed_from_u64(recipe.seed);
        for _ in 0..recipe.epoch_count {
            shuffle(&mut rows, &mut order);
            for batch in rows.chunks(recipe.batch_size.max(1)) {
                objective.evaluate(batch, &student, &mut gradient);
                let slopes = student.parameters.iter_mut().zip(&gradient);
                slopes.for_each(|(parameter, slope)| *parameter -= recipe.learning_rate * slope);
            }
        }
        Ok(student)
    })
}
