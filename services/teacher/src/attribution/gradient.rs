//! Gradient × input: what each pixel's ink contributes to the score, to first order.

use domain::{Heatmap, Image, Logits, Result};

use crate::teacher::{Classifier, Contrast};

/// Derivative of the score by a pixel, times the pixel. Exact on a linear classifier, where the map
/// sums to the score less its value on blank paper. With the map, the answer whose slopes these are.
pub fn gradient_times_input(
    classifier: &dyn Classifier,
    image: &Image,
    contrast: Contrast,
) -> Result<(Heatmap, Logits)> {
    image.expect_shape(classifier.description().shape)?;
    let gradient = classifier.input_gradient(image, contrast)?;
    let products = gradient.slopes.values().iter().zip(image.unit_pixels());
    let map = Heatmap::new(image.shape(), products.map(|(slope, pixel)| slope * pixel as f32).collect())?;
    Ok((map, gradient.logits))
}

#[cfg(test)]
mod tests {
    use domain::{ImageBatch, ImageShape, Label};
    use proptest::prelude::*;

    use super::*;
    use crate::known::LinearTeacher;

    proptest! {
        #[test]
        fn the_map_sums_to_the_score_less_that_of_blank_paper(
            weights in prop::collection::vec(-3f64..3.0, 24), pixels in prop::collection::vec(0u8..=255, 12),
        ) {
            let shape = ImageShape::gray(3, 4);
            let teacher = LinearTeacher::new(shape, vec![weights[..12].to_vec(), weights[12..].to_vec()]);
            let image = Image::new(shape, pixels).unwrap();
            let blank = Image::new(shape, vec![0; 12]).unwrap();
            let answers = teacher.logits(&ImageBatch::from_images(shape, [&image, &blank]).unwrap()).unwrap();
            for baseline in [None, Some(Label(1))] {
                let contrast = Contrast { target: Label(0), baseline };
                let (map, answer) = gradient_times_input(&teacher, &image, contrast).unwrap();
                prop_assert_eq!(&answer, &answers[0]);
                let sum: f64 = map.values().iter().map(|&v| f64::from(v)).sum();
                let difference = contrast.score(&answers[0]) - contrast.score(&answers[1]);
                prop_assert!((sum - difference).abs() < 1e-3, "{sum} is not {difference}");
            }
        }
    }
}
