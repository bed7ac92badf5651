//! What a student is asked to be, and what comes out.

use crate::{
    error::{Error, Result, Violations},
    fidelity::Fidelity,
    heatmap::Heatmap,
    label::{Label, SoftLabels, Temperature},
    linear::LinearClassifier,
    name::ResourceName,
    neighborhood::{LatentRange, NeighborhoodSpec},
};

/// How the linear classifier is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Solver {
    /// Closed form on centered logits.
    Ridge,
    /// Ridge start, then L-BFGS on the soft cross-entropy at the temperature.
    Lbfgs {
        /// Most iterations, 1 to 500.
        iteration_count: u32,
        /// Stops when the loss falls by less than this share; in `[0, 0.1]`.
        tolerance: f64,
    },
    /// Mini-batch Adam on the soft cross-entropy at the temperature.
    Adam {
        /// 1 to 500.
        epoch_count: u32,
        /// 1 to 4,096.
        batch_size: u32,
        /// Above 0, at most 1.
        learning_rate: f64,
        /// Order of the batches.
        seed: u64,
    },
}

impl Solver {
    /// 20 iterations, tolerance 1e-7.
    pub const LBFGS: Self = Self::Lbfgs { iteration_count: 20, tolerance: 1e-7 };
    /// 50 epochs of 64, rate 0.01, seed 7.
    pub const ADAM: Self = Self::Adam { epoch_count: 50, batch_size: 64, learning_rate: 0.01, seed: 7 };

    /// The penalty λ that a student gets unless it asks for another: 3e-3 under ridge, 1e-3 under the two that
    /// descend the cross-entropy. That loss is in probabilities, whose slopes are smaller than those of
    /// logits, so the same λ weighs more against it: at 3e-3 L-BFGS loses 0.014 of agreement.
    pub fn default_l2(self) -> f64 {
        match self {
            Self::Ridge => 3e-3,
            Self::Lbfgs { .. } | Self::Adam { .. } => 1e-3,
        }
    }

    /// How much the instance itself counts unless a student asks for another weight: 1 under ridge, whose
    /// agreement on neighbors it does not move, and 0.1 under the two that descend the cross-entropy: a weight of
    /// 1 costs Adam agreement.
    pub fn default_instance_weight(self) -> f64 {
        match self {
            Self::Ridge => 1.0,
            Self::Lbfgs { .. } | Self::Adam { .. } => 0.1,
        }
    }
}

/// All that determines a student, given labelled neighbors.
#[derive(Debug, Clone, PartialEq)]
pub struct StudentSpec {
    /// How it is fitted.
    pub solver: Solver,
    /// How soft the labels are. Under ridge it changes neither map nor agreement, only the shown bars.
    pub temperature: Temperature,
    /// Penalty λ on the weights, relative to the mean loss; in `[1e-6, 100]`. See [`Solver::default_l2`].
    pub l2: f64,
    /// Weight of the instance itself in the training set, as a share of all neighbors; in `[0, 10]`. Between 0.1 and
    /// 10 ridge's agreement on neighbors does not move. See [`Solver::default_instance_weight`].
    pub instance_weight: f64,
    /// Use the first so many neighbors only.
    pub neighbor_limit: Option<usize>,
    /// Use only neighbors inside all of these bands.
    pub ranges: Vec<LatentRange>,
}

impl Default for StudentSpec {
    fn default() -> Self {
        Self::of(Solver::Ridge)
    }
}

impl StudentSpec {
    /// The defaults of a solver.
    pub fn of(solver: Solver) -> Self {
        Self {
            solver,
            temperature: Temperature::TWO,
            l2: solver.default_l2(),
            instance_weight: solver.default_instance_weight(),
            neighbor_limit: None,
            ranges: Vec::new(),
        }
    }

    /// Takes another solver. A penalty or weight that nobody has chosen becomes that solver's default.
    pub fn set_solver(&mut self, solver: Solver) {
        if self.l2 == self.solver.default_l2() {
            self.l2 = solver.default_l2();
        }
        if self.instance_weight == self.solver.default_instance_weight() {
            self.instance_weight = solver.default_instance_weight();
        }
        self.solver = solver;
    }

    /// Every wrong field at once.
    pub fn validate(&self) -> Result<()> {
        let mut violations = Violations::default();
        violations.check((1e-6..=100.0).contains(&self.l2), "l2", || format!("{} is outside 1e-6 to 100", self.l2));
        violations.check((0.0..=10.0).contains(&self.instance_weight), "instance_weight", || {
            format!("{} is outside 0 to 10", self.instance_weight)
        });
        if let Some(limit) = self.neighbor_limit {
            violations.check(limit >= NeighborhoodSpec::MIN_NEIGHBOR_COUNT, "neighbor_limit", || {
                format!("{limit} is below {}", NeighborhoodSpec::MIN_NEIGHBOR_COUNT)
            });
        }
        let (count, most) = (self.ranges.len(), NeighborhoodSpec::MAX_RANGE_COUNT);
        violations.check(count <= most, "ranges", || format!("{count} are more than {most}"));
        for (i, range) in self.ranges.iter().enumerate().take(most) {
            violations.check(range.low <= range.high, &format!("ranges[{i}]"), || {
                format!("{} is above {}", range.low, range.high)
            });
        }
        violations.take("", self.solver.validate());
        violations.finish()
    }
}

impl Solver {
    fn validate(&self) -> Result<()> {
        let mut violations = Violations::default();
        match *self {
            Self::Ridge => {}
            Self::Lbfgs { iteration_count, tolerance } => {
                violations.check((1..=500).contains(&iteration_count), "lbfgs.iteration_count", || {
                    format!("{iteration_count} is outside 1 to 500")
                });
                violations.check((0.0..=0.1).contains(&tolerance), "lbfgs.tolerance", || {
                    format!("{tolerance} is outside 0 to 0.1")
                });
            }
            Self::Adam { epoch_count, batch_size, learning_rate, .. } => {
                violations.check((1..=500).contains(&epoch_count), "adam.epoch_count", || {
                    format!("{epoch_count} is outside 1 to 500")
                });
                violations.check((1..=4_096).contains(&batch_size), "adam.batch_size", || {
                    format!("{batch_size} is outside 1 to 4096")
                });
                violations.check(learning_rate > 0.0 && learning_rate <= 1.0, "adam.learning_rate", || {
                    format!("{learning_rate} is not above 0 and at most 1")
                });
            }
        }
        violations.finish()
    }
}

/// A fitted student with all that is needed to read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Student {
    /// `explanations/{x}/students/{s}`.
    pub name: ResourceName,
    /// What was asked for.
    pub spec: StudentSpec,
    /// Neighbors it was fitted to.
    pub neighbor_count: usize,
    /// The fitted classifier. Its weight maps are ten of the twenty images.
    pub classifier: LinearClassifier,
    /// weight × (pixel − neighborhood mean), one a label: the other ten.
    pub contribution_maps: Vec<Heatmap>,
    /// Weights of the predicted label minus weights of the other label.
    pub contrast_map: Heatmap,
    /// The label the contrast is towards: the teacher's answer at the instance.
    pub predicted_label: Label,
    /// The label the contrast is against: the gold label, or the teacher's second choice where the
    /// gold label is unknown or was predicted.
    pub contrast_label: Label,
    /// The student's answer at the instance, at the spec's temperature.
    pub student_labels: SoftLabels,
    /// The teacher's answer at the instance, at the same temperature.
    pub teacher_labels: SoftLabels,
    /// How far to trust it.
    pub fidelity: Fidelity,
}

impl Student {
    /// The largest absolute value over all weight maps: the limit of the scale they share.
    pub fn weight_limit(&self) -> f32 {
        self.classifier.weights().iter().flatten().fold(0.0f32, |max, w| max.max(w.abs() as f32))
    }

    /// Checks that there is one contribution map a label and that the contrast labels exist.
    pub fn validate(&self) -> Result<()> {
        let label_count = self.classifier.label_count();
        let complete = self.contribution_maps.len() == label_count
            && self.predicted_label.index() < label_count
            && self.contrast_label.index() < label_count;
        if complete { Ok(()) } else { Err(Error::invalid("student", "has not one contribution map a label")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        for solver in [Solver::Ridge, Solver::LBFGS, Solver::ADAM] {
            assert_eq!(StudentSpec::of(solver).validate(), Ok(()));
        }
    }

    #[test]
    fn penalty_and_own_weight_follow_the_solver_until_they_are_chosen() {
        let mut spec = StudentSpec::default();
        assert_eq!((spec.l2, spec.instance_weight), (3e-3, 1.0));
        spec.set_solver(Solver::LBFGS);
        assert_eq!((spec.l2, spec.instance_weight), (1e-3, 0.1));
        assert_eq!(spec, StudentSpec::of(Solver::LBFGS));
        spec.set_solver(Solver::Ridge);
        assert_eq!(spec, StudentSpec::default());
        (spec.l2, spec.instance_weight) = (0.5, 0.3);
        spec.set_solver(Solver::ADAM);
        assert_eq!((spec.l2, spec.instance_weight, spec.solver), (0.5, 0.3, Solver::ADAM));
    }

    #[test]
    fn only_fields_that_the_solver_reads_are_checked_and_all_of_them_are() {
        let solver = Solver::Adam { epoch_count: 0, batch_size: 0, learning_rate: f64::NAN, seed: 0 };
        let error = StudentSpec { solver, l2: -1.0, ..Default::default() }.validate().unwrap_err().to_string();
        for field in ["l2", "adam.epoch_count", "adam.batch_size", "adam.learning_rate"] {
            assert!(error.contains(field), "{error} does not name {field}");
        }
    }
}
