//! How well a student imitates its teacher, and what that allows one to believe.

/// Measured on neighbors that the fitted student has not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Fidelity {
    /// Neighbors it was measured on.
    pub held_out_neighbor_count: usize,
    /// Whether each neighbor was held out once (five folds) rather than one fifth of them.
    pub cross_fitted: bool,
    /// Share of held-out neighbors to which student and teacher give the same class, in `[0, 1]`.
    pub top1_agreement: f64,
    /// The same for always answering the most frequent class of the training neighbors.
    pub majority_baseline: f64,
    /// Mean KL(teacher ‖ student) at the temperature, in nats.
    pub mean_kl: f64,
    /// The same for always answering the mean probabilities of the training neighbors.
    pub constant_kl: f64,
    /// 1 − residual / total sum of squares over all probabilities at the temperature, totals taken
    /// around each class's mean; at most 1, can be negative.
    pub r_squared: f64,
    /// At the image itself, without its own weight in the training set: the evidence.
    pub instance_held_out: InstanceFit,
    /// At the image itself, with its own weight: a fit, and said so wherever it is shown.
    pub instance_fitted: InstanceFit,
    /// Whether another draw of neighbors would show the same map.
    pub stability: Stability,
    /// Neighbors by the teacher's answer, one count a label.
    pub label_counts: Vec<u64>,
}

/// Student against teacher at the instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceFit {
    /// Same class.
    pub agrees: bool,
    /// |student − teacher| probability of the teacher's class, at temperature 1, in `[0, 1]`.
    pub probability_gap: f64,
}

/// Split-half reliability of the contrast map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stability {
    /// Cosine of the contrast maps fitted to two halves of the neighbors, in `[-1, 1]`.
    pub split_half_cosine: f64,
}

impl Stability {
    /// Spearman-Brown prophecy 2c / (1 + c): the cosine to expect between two full-size draws; 0 where
    /// the halves disagree.
    pub fn predicted_cosine(self) -> f64 {
        let c = self.split_half_cosine;
        if c > 0.0 { 2.0 * c / (1.0 + c) } else { 0.0 }
    }
}

/// What the numbers allow one to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Faithful nearby, right at the image, stable: read the strong pixels.
    Trust,
    /// Usable with care: one of the measures is middling.
    Caution,
    /// It imitates something else, or hardly anything at all.
    Distrust,
    /// All neighbors are one class: nothing nearby to tell apart.
    OneClass,
}

impl Fidelity {
    /// Share of held-out neighbors below which a student's top-1 agreement is not trusted.
    pub const TRUSTED_AGREEMENT: f64 = 0.90;
    /// Predicted cosine below which the map may be chance.
    pub const TRUSTED_STABILITY: f64 = 0.90;
    /// Share of the constant predictor's KL above which little was learned.
    pub const TRUSTED_KL_SHARE: f64 = 0.15;
    /// Share of the majority guess's mistakes that a trusted student must undo: 99 % agreement says little
    /// where a guess has 98 %.
    pub const TRUSTED_GAIN: f64 = 0.5;
    /// Below these the verdict is [`Verdict::Distrust`].
    pub const USABLE_AGREEMENT: f64 = 0.75;
    /// As above, for stability.
    pub const USABLE_STABILITY: f64 = 0.70;

    /// Share of the constant predictor's KL that is left, in `[0, …)`; 0 when there was none to explain.
    pub fn kl_share(&self) -> f64 {
        if self.constant_kl > 0.0 { self.mean_kl / self.constant_kl } else { 0.0 }
    }

    /// Share of the majority guess's mistakes that the student does not make; 0 where there are none.
    pub fn gain(&self) -> f64 {
        let mistakes = 1.0 - self.majority_baseline;
        if mistakes > 0.0 { (self.top1_agreement - self.majority_baseline) / mistakes } else { 0.0 }
    }

    /// Whether the teacher gives every neighbor the same class.
    pub fn one_class(&self) -> bool {
        self.label_counts.iter().filter(|&&count| count > 0).count() < 2
    }

    /// Reads the numbers. The agreement at the instance is the one without its own weight.
    pub fn verdict(&self) -> Verdict {
        let stability = self.stability.predicted_cosine();
        let usable = self.top1_agreement >= Self::USABLE_AGREEMENT
            && stability >= Self::USABLE_STABILITY
            && self.kl_share() < 1.0;
        let faithful = self.top1_agreement >= Self::TRUSTED_AGREEMENT
            && self.gain() >= Self::TRUSTED_GAIN
            && self.kl_share() <= Self::TRUSTED_KL_SHARE;
        if self.one_class() {
            Verdict::OneClass
        } else if !usable {
            Verdict::Distrust
        } else if faithful && stability >= Self::TRUSTED_STABILITY && self.instance_held_out.agrees {
            Verdict::Trust
        } else {
            Verdict::Caution
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Fidelity {
        let fit = InstanceFit { agrees: true, probability_gap: 0.01 };
        Fidelity {
            held_out_neighbor_count: 1_000,
            cross_fitted: true,
            top1_agreement: 0.95,
            majority_baseline: 0.68,
            mean_kl: 0.007,
            constant_kl: 0.18,
            r_squared: 0.95,
            instance_held_out: fit,
            instance_fitted: fit,
            stability: Stability { split_half_cosine: 0.93 },
            label_counts: vec![680, 320],
        }
    }

    #[test]
    fn a_student_is_trusted_only_when_every_measure_holds() {
        assert_eq!(good().verdict(), Verdict::Trust);
        let wrong_here = InstanceFit { agrees: false, probability_gap: 0.4 };
        assert_eq!(Fidelity { instance_held_out: wrong_here, ..good() }.verdict(), Verdict::Caution);
        assert_eq!(Fidelity { top1_agreement: 0.6, ..good() }.verdict(), Verdict::Distrust);
        assert_eq!(Fidelity { majority_baseline: 0.94, ..good() }.verdict(), Verdict::Caution);
        assert_eq!(Fidelity { label_counts: vec![1_000, 0], ..good() }.verdict(), Verdict::OneClass);
        assert_eq!(Fidelity { mean_kl: 0.2, ..good() }.verdict(), Verdict::Distrust);
    }

    #[test]
    fn spearman_brown_predicts_the_measured_cosine() {
        // c(512) = 0.956 predicted 0.978 at N = 1,000, where 0.977 was measured.
        let predicted = Stability { split_half_cosine: 0.956 }.predicted_cosine();
        assert!((predicted - 0.978).abs() < 1e-3);
    }
}
