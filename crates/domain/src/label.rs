//! Labels, logits and soft labels at a temperature.

use crate::error::{Error, Result};

/// Index of a class in its data set's label names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(pub u32);

impl Label {
    /// As an index into logits.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How much a softmax is flattened: above 1 softens, below 1 sharpens. In `[0.05, 100]`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Temperature(f64);

impl Temperature {
    /// The softmax as the teacher was trained.
    pub const ONE: Self = Self(1.0);
    /// The default of distillation.
    pub const TWO: Self = Self(2.0);
    /// Smallest accepted.
    pub const MIN: f64 = 0.05;
    /// Largest accepted.
    pub const MAX: f64 = 100.0;

    /// Checks the range.
    pub fn new(value: f64) -> Result<Self> {
        if (Self::MIN..=Self::MAX).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Error::invalid("temperature", format!("{value} is outside {} to {}", Self::MIN, Self::MAX)))
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A classifier's raw answer for one image, one finite number a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits(Vec<f32>);

impl Logits {
    /// Checks that there is at least one class and that every value is finite.
    pub fn new(values: Vec<f32>) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::invalid("logits", "are empty"));
        }
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid("logits", format!("value {position} is not finite")));
        }
        Ok(Self(values))
    }

    /// One value a class.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Number of classes.
    pub fn label_count(&self) -> usize {
        self.0.len()
    }

    /// The class with the largest logit; the first of equals.
    pub fn predicted_label(&self) -> Label {
        Label(argmax(self.0.iter().map(|&value| f64::from(value))) as u32)
    }

    /// softmax(logits / T), summing to 1.
    pub fn soft_labels(&self, temperature: Temperature) -> SoftLabels {
        let scaled: Vec<f64> = self.0.iter().map(|&value| f64::from(value) / temperature.get()).collect();
        SoftLabels { probabilities: softmax(&scaled), temperature }
    }
}

/// Class probabilities at a temperature.
#[derive(Debug, Clone, PartialEq)]
pub struct SoftLabels {
    /// One a class, in `[0, 1]`, summing to 1.
    pub probabilities: Vec<f64>,
    /// The temperature they were made at.
    pub temperature: Temperature,
}

impl SoftLabels {
    /// The most probable class; the first of equals.
    pub fn predicted_label(&self) -> Label {
        Label(argmax(self.probabilities.iter().copied()) as u32)
    }

    /// The probability of a class; 0 for a class that is not there.
    pub fn probability(&self, label: Label) -> f64 {
        self.probabilities.get(label.index()).copied().unwrap_or(0.0)
    }

    /// Largest probability.
    pub fn confidence(&self) -> f64 {
        self.probability(self.predicted_label())
    }

    /// Largest probability less the second largest; the largest where there is one class.
    pub fn margin(&self) -> f64 {
        let mut sorted = self.probabilities.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sorted.first().unwrap_or(&0.0) - sorted.get(1).unwrap_or(&0.0)
    }
}

/// softmax by the shifted exponential, so that no finite input overflows.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - max).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}

/// Index of the largest value, the first of equals; 0 for none.
pub fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

/// KL(p ‖ q) in nats. Terms with p = 0 count nothing; q is floored at 1e-12 so that the sum is finite.
pub fn kl_divergence(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q.max(1e-12)).ln()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn soft_labels_keep_the_order_of_logits_at_any_temperature(
            values in prop::collection::vec(-30f32..30.0, 2..12), temperature in 0.05f64..100.0,
        ) {
            let logits = Logits::new(values).unwrap();
            let soft = logits.soft_labels(Temperature::new(temperature).unwrap());
            prop_assert!((soft.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert_eq!(soft.predicted_label(), logits.predicted_label());
        }

        #[test]
        fn kl_is_zero_only_between_equals_and_never_negative(
            a in prop::collection::vec(-5f64..5.0, 4), b in prop::collection::vec(-5f64..5.0, 4),
        ) {
            let (p, q) = (softmax(&a), softmax(&b));
            prop_assert!(kl_divergence(&p, &p).abs() < 1e-12);
            prop_assert!(kl_divergence(&p, &q) >= -1e-12);
        }

        #[test]
        fn softmax_ignores_a_shift(a in prop::collection::vec(-5f64..5.0, 4), shift in -500f64..500.0) {
            let moved: Vec<f64> = a.iter().map(|x| x + shift).collect();
            for (x, y) in softmax(&a).iter().zip(softmax(&moved)) {
                prop_assert!((x - y).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn logits_that_are_not_finite_are_refused() {
        assert!(Logits::new(vec![1.0, f32::NAN]).is_err());
        assert!(Logits::new(vec![]).is_err());
    }
}
