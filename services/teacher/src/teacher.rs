//! The port to a trained classifier, and what the core asks of every one of them.
//! No tensor library and no wire here: linear classifiers with known answers stand behind it in tests.

use domain::{Error, Heatmap, Image, ImageBatch, ImageShape, Label, Logits, Result, Violations};

/// A trained teacher, owned by one thread.
pub trait Classifier: Send {
    /// What it is; never changes.
    fn description(&self) -> &Description;

    /// One answer an image. An image's logits do not depend on the others in the batch.
    fn logits(&self, images: &ImageBatch) -> Result<Vec<Logits>>;

    /// Slopes of the contrast's score, and the answer that they are slopes of.
    fn input_gradient(&self, image: &Image, contrast: Contrast) -> Result<InputGradient>;
}

/// What becomes of an answer when pixels change a little.
#[derive(Debug, Clone, PartialEq)]
pub struct InputGradient {
    /// Derivative of the score by every pixel in `[0, 1]`.
    pub slopes: Heatmap,
    /// The answer to the image of whatever was derived: a copy that rounds less than the one that answers
    /// images may give another class.
    pub logits: Logits,
}

/// What tells one teacher's answers from another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Shape of the images it reads.
    pub shape: ImageShape,
    /// Number of classes.
    pub label_count: usize,
    /// blake3 of its weights in hex.
    pub digest: String,
    /// How it answers: library, number type, layout, batch shape, CPU class.
    pub engine: String,
    /// What gradients are computed with: a copy in f32 where the engine rounds more.
    pub gradient_engine: String,
}

/// The score that is attributed: logit of `target`, minus the logit of `baseline` where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contrast {
    /// The class that is explained.
    pub target: Label,
    /// The class it is contrasted with.
    pub baseline: Option<Label>,
}

impl Contrast {
    /// Checks that both classes exist and differ.
    pub fn new(target: Label, baseline: Option<Label>, label_count: usize) -> Result<Self> {
        let mut violations = Violations::default();
        let mut check = |field: &str, label: Label| {
            violations.check(label.index() < label_count, field, || format!("{label} is not below {label_count}"));
        };
        check("target_label", target);
        if let Some(baseline) = baseline {
            check("baseline_label", baseline);
        }
        violations.check(baseline != Some(target), "baseline_label", || format!("{target} is the target itself"));
        violations.finish()?;
        Ok(Self { target, baseline })
    }

    /// The score of an answer, in logits.
    pub fn score(&self, logits: &Logits) -> f64 {
        let value = |label: Label| logits.values().get(label.index()).copied().map_or(0.0, f64::from);
        value(self.target) - self.baseline.map_or(0.0, value)
    }
}

/// Checks that images have the shape a teacher reads.
pub fn expect_shape(images: &ImageBatch, expected: ImageShape) -> Result<()> {
    let got = images.shape();
    if got == expected { Ok(()) } else { Err(Error::image_shape(got, expected)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contrast_names_every_label_that_is_not_there() {
        let error = Contrast::new(Label(10), Some(Label(11)), 10).unwrap_err().to_string();
        assert!(error.contains("target_label: 10") && error.contains("baseline_label: 11"), "{error}");
        assert!(Contrast::new(Label(3), Some(Label(3)), 10).is_err());
        assert!(Contrast::new(Label(3), None, 10).is_ok());
    }

    #[test]
    fn the_score_is_a_difference_of_logits() {
        let logits = Logits::new(vec![1.0, 3.0]).unwrap();
        let score = |baseline| Contrast { target: Label(1), baseline }.score(&logits);
        assert_eq!((score(None), score(Some(Label(0)))), (3.0, 2.0));
    }
}
