//! The linear classifier that imitates the teacher: logits = W x + b, x in `[0, 1]`.

use crate::{
    error::{Error, Result},
    heatmap::Heatmap,
    image::{Image, ImageShape},
    label::{Label, SoftLabels, Temperature, softmax},
};

/// Weights in logits per unit of ink, at temperature 1: the probabilities at temperature T are
/// softmax((W x + b) / T), so that a student fitted at any temperature shows the same kind of map.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearClassifier {
    shape: ImageShape,
    /// `[label][pixel]`
    weights: Vec<Vec<f64>>,
    /// `[label]`
    biases: Vec<f64>,
}

impl LinearClassifier {
    /// Checks that there is one bias and one full map a label, all finite.
    pub fn new(shape: ImageShape, weights: Vec<Vec<f64>>, biases: Vec<f64>) -> Result<Self> {
        let sizes_fit = !weights.is_empty()
            && weights.len() == biases.len()
            && weights.iter().all(|map| map.len() == shape.pixel_count());
        if !sizes_fit {
            return Err(Error::invalid("weights", format!("must be one {shape} map and one bias a label")));
        }
        let all_finite = weights.iter().flatten().chain(&biases).all(|value| value.is_finite());
        if !all_finite {
            return Err(Error::invalid("weights", "must be finite"));
        }
        Ok(Self { shape, weights, biases })
    }

    /// Shape of the images it reads.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Number of classes.
    pub fn label_count(&self) -> usize {
        self.biases.len()
    }

    /// `[label][pixel]`.
    pub fn weights(&self) -> &[Vec<f64>] {
        &self.weights
    }

    /// `[label]`.
    pub fn biases(&self) -> &[f64] {
        &self.biases
    }

    /// W x + b. `unit_pixels` are in `[0, 1]` and fill the shape.
    pub fn logits(&self, unit_pixels: &[f64]) -> Vec<f64> {
        let dot = |map: &Vec<f64>| map.iter().zip(unit_pixels).map(|(w, x)| w * x).sum::<f64>();
        self.weights.iter().zip(&self.biases).map(|(map, bias)| dot(map) + bias).collect()
    }

    /// softmax((W x + b) / T) of an image.
    pub fn soft_labels(&self, image: &Image, temperature: Temperature) -> Result<SoftLabels> {
        image.expect_shape(self.shape)?;
        let pixels: Vec<f64> = image.unit_pixels().collect();
        let scaled: Vec<f64> = self.logits(&pixels).iter().map(|logit| logit / temperature.get()).collect();
        Ok(SoftLabels { probabilities: softmax(&scaled), temperature })
    }

    /// What each unit of ink adds to the logit of `label`.
    pub fn weight_map(&self, label: Label) -> Result<Heatmap> {
        let map = self.row(label)?;
        Heatmap::new(self.shape, map.iter().map(|&w| w as f32).collect())
    }

    /// weight × (pixel − mean): what this image's ink adds to the logit of `label`, compared with the
    /// mean image of its neighborhood. The map sums to the difference of the two logits.
    pub fn contribution_map(&self, label: Label, image: &Image, mean_unit_pixels: &[f64]) -> Result<Heatmap> {
        image.expect_shape(self.shape)?;
        let map = self.row(label)?;
        let differences = image.unit_pixels().zip(mean_unit_pixels).map(|(x, mean)| x - mean);
        Heatmap::new(self.shape, map.iter().zip(differences).map(|(w, d)| (w * d) as f32).collect())
    }

    /// Weights of `predicted` minus weights of `other`: ink where it is positive pushes towards `predicted`.
    pub fn contrast_map(&self, predicted: Label, other: Label) -> Result<Heatmap> {
        let (a, b) = (self.row(predicted)?, self.row(other)?);
        Heatmap::new(self.shape, a.iter().zip(b).map(|(a, b)| (a - b) as f32).collect())
    }

    fn row(&self, label: Label) -> Result<&Vec<f64>> {
        self.weights
            .get(label.index())
            .ok_or_else(|| Error::invalid("label", format!("{label} is not below {}", self.label_count())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classifier() -> LinearClassifier {
        LinearClassifier::new(ImageShape::gray(1, 2), vec![vec![1.0, -2.0], vec![0.5, 3.0]], vec![0.1, -0.2]).unwrap()
    }

    #[test]
    fn a_contribution_map_sums_to_the_logit_difference_from_the_mean() {
        let image = Image::new(ImageShape::gray(1, 2), vec![255, 51]).unwrap();
        let mean = [0.25, 0.5];
        let pixels: Vec<f64> = image.unit_pixels().collect();
        for label in 0..2 {
            let map = classifier().contribution_map(Label(label), &image, &mean).unwrap();
            let sum: f64 = map.values().iter().map(|&v| f64::from(v)).sum();
            let difference = classifier().logits(&pixels)[label as usize] - classifier().logits(&mean)[label as usize];
            assert!((sum - difference).abs() < 1e-6);
        }
    }

    #[test]
    fn weights_that_do_not_fill_the_shape_are_refused() {
        assert!(LinearClassifier::new(ImageShape::gray(1, 2), vec![vec![1.0]], vec![0.0]).is_err());
        assert!(LinearClassifier::new(ImageShape::gray(1, 1), vec![vec![f64::NAN]], vec![0.0]).is_err());
    }
}
