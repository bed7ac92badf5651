//! What measures have to reach: for the models that a user gets, and for the small ones of the tests.

use super::Trust;

/// A measured value beside the value it has to reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What was measured.
    pub what: String,
    /// The value.
    pub measured: f64,
    /// Whether it must not be below the limit; else it must be at most or, for controls, below it.
    pub at_least: bool,
    /// The limit.
    pub limit: f64,
}

impl Bar {
    /// Must reach `limit`.
    pub fn at_least(what: impl Into<String>, measured: f64, limit: f64) -> Self {
        Self { what: what.into(), measured, at_least: true, limit }
    }

    /// Must stay at or under `limit`.
    pub fn at_most(what: impl Into<String>, measured: f64, limit: f64) -> Self {
        Self { what: what.into(), measured, at_least: false, limit }
    }

    /// Whether it holds. A measure that is not a number does not.
    pub fn holds(&self) -> bool {
        if self.at_least { self.measured >= self.limit } else { self.measured <= self.limit }
    }

    /// One line of a table.
    pub fn line(&self) -> String {
        let (mark, sign) = (if self.holds() { "ok  " } else { "FAIL" }, if self.at_least { ">=" } else { "<=" });
        format!("{mark}  {:<52} {:>8.4}  {sign} {}", self.what, self.measured, self.limit)
    }
}

/// What explanations of one pair of models have to reach, and what the controls must not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// At least; see [`Trust::agreement`].
    pub agreement: f64,
    /// The agreement less [`Trust::majority`], at least.
    pub above_majority: f64,
    /// At most, in nats.
    pub kl: f64,
    /// At least.
    pub at_image_held_out: f64,
    /// At least.
    pub at_image_fitted: f64,
    /// At least.
    pub cosine: f64,
    /// At most.
    pub plain_at_image: f64,
    /// At most.
    pub hard_label_agreement: f64,
}

impl Limits {
    /// What is promised of the default ResNet-50 and autoencoder, over 100 errors.
    pub const DEFAULT_MODELS: Self = Self {
        agreement: 0.94,
        above_majority: 0.20,
        kl: 0.008,
        at_image_held_out: 0.88,
        at_image_fitted: 0.99,
        cosine: 0.95,
        plain_at_image: 0.70,
        hard_label_agreement: 0.90,
    };

    /// Measured on the small models of [`crate::small`] (one seed, one thread, f32), with a margin.
    pub const SMALL_MODELS: Self = Self {
        agreement: 0.95,
        above_majority: 0.15,
        kl: 0.004,
        at_image_held_out: 0.90,
        at_image_fitted: 0.99,
        cosine: 0.97,
        plain_at_image: 0.60,
        hard_label_agreement: 0.90,
    };
}

impl Trust {
    /// Every measure beside its limit.
    pub fn bars(&self, limits: &Limits) -> Vec<Bar> {
        vec![
            Bar::at_least("held-out agreement, mean", self.agreement, limits.agreement),
            Bar::at_least(
                "held-out agreement above the majority baseline",
                self.agreement - self.majority,
                limits.above_majority,
            ),
            Bar::at_most("KL(teacher || student) at T = 2, mean, in nats", self.kl, limits.kl),
            Bar::at_least(
                "agreement at the image without its own weight",
                self.at_image_held_out,
                limits.at_image_held_out,
            ),
            Bar::at_least("agreement at the image with its own weight", self.at_image_fitted, limits.at_image_fitted),
            Bar::at_least("cosine of contrast maps from two seeds, mean", self.cosine, limits.cosine),
            Bar::at_most("control: at the image, plain and weightless", self.plain_at_image, limits.plain_at_image),
            Bar::at_most(
                "control: agreement of hard labels with SGD",
                self.hard_label_agreement,
                limits.hard_label_agreement,
            ),
        ]
    }
}
