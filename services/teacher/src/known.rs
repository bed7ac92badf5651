//! Teachers whose answers and explanations are known in closed form, for tests of everything that
//! stands behind the [`Classifier`] port. No libtorch.

use domain::{Heatmap, Image, ImageBatch, ImageShape, LinearClassifier, Logits, Result};

use crate::teacher::{Classifier, Contrast, Description, expect_shape};

/// W x + b: its gradient is W, its occlusion map the weights averaged by ink.
#[derive(Debug, Clone)]
pub struct LinearTeacher {
    classifier: LinearClassifier,
    description: Description,
}

impl LinearTeacher {
    /// One full weight map a label, no biases.
    ///
    /// # Panics
    /// When a map does not fill the shape.
    pub fn new(shape: ImageShape, weights: Vec<Vec<f64>>) -> Self {
        let biases = vec![0.0; weights.len()];
        Self::from(LinearClassifier::new(shape, weights, biases).expect("one full, finite map a label"))
    }
}

impl From<LinearClassifier> for LinearTeacher {
    fn from(classifier: LinearClassifier) -> Self {
        let values = classifier.weights().iter().flatten().chain(classifier.biases());
        // FNV-1a over the weights' bits: enough to tell two of them apart.
        let digest = values
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, value| (hash ^ value.to_bits()).wrapping_mul(0x0000_0100_0000_01b3));
        let description = Description {
            shape: classifier.shape(),
            label_count: classifier.label_count(),
            digest: format!("{digest:064x}"),
            engine: "linear f64".to_owned(),
        };
        Self { classifier, description }
    }
}

impl Classifier for LinearTeacher {
    fn description(&self) -> &Description {
        &self.description
    }

    fn logits(&self, images: &ImageBatch) -> Result<Vec<Logits>> {
        expect_shape(images, self.description.shape)?;
        let answer = |pixels: &[u8]| {
            let unit: Vec<f64> = pixels.iter().map(|&pixel| f64::from(pixel) / 255.0).collect();
            Logits::new(self.classifier.logits(&unit).into_iter().map(|logit| logit as f32).collect())
        };
        images.iter().map(answer).collect()
    }

    fn input_gradient(&self, image: &Image, contrast: Contrast) -> Result<Heatmap> {
        image.expect_shape(self.description.shape)?;
        match contrast.baseline {
            Some(baseline) => self.classifier.contrast_map(contrast.target, baseline),
            None => self.classifier.weight_map(contrast.target),
        }
    }
}
