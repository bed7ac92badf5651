//! The straight line between two instances in latent space. Pure: the caller decodes.

use domain::{Error, ImageBatch, ImageShape, Result};

use crate::vae::{Residual, rounded};

/// Points at equal steps from `from` to `to`, both ends included; `step_count` is 2 to 64.
pub fn points(from: &[f32], to: &[f32], step_count: usize) -> Result<Vec<Vec<f32>>> {
    if !(2..=64).contains(&step_count) {
        return Err(Error::invalid("step_count", format!("{step_count} is outside 2 to 64")));
    }
    let blend = |share: f32| from.iter().zip(to).map(|(from, to)| from * (1.0 - share) + to * share).collect();
    Ok(shares(step_count).map(blend).collect())
}

/// Images of the decoded points. With residuals each end is the instance itself: the two residuals are
/// blended along the line as the points are.
pub fn images(
    shape: ImageShape,
    mut decoded: Vec<f32>,
    residuals: Option<(&Residual, &Residual)>,
) -> Result<ImageBatch> {
    if let Some((from, to)) = residuals {
        let step_count = decoded.len() / shape.pixel_count();
        for (image, share) in decoded.chunks_exact_mut(shape.pixel_count()).zip(shares(step_count)) {
            from.add_share(image, 1.0 - share);
            to.add_share(image, share);
        }
    }
    rounded(shape, &decoded)
}

fn shares(step_count: usize) -> impl Iterator<Item = f32> {
    (0..step_count).map(move |step| step as f32 / (step_count - 1) as f32)
}

#[cfg(test)]
mod tests {
    use domain::Image;

    use super::*;

    #[test]
    fn the_ends_are_the_ends_and_the_middle_is_halfway() {
        let line = points(&[0.1, -3.0], &[0.7, 5.0], 3).unwrap();
        assert_eq!((line[0].as_slice(), line[2].as_slice()), (&[0.1, -3.0][..], &[0.7, 5.0][..]));
        assert!((line[1][0] - 0.4).abs() < 1e-6 && line[1][1] == 1.0);
    }

    #[test]
    fn a_line_has_2_to_64_points() {
        for (count, allowed) in [(0, false), (1, false), (2, true), (64, true), (65, false)] {
            assert_eq!(points(&[0.0], &[1.0], count).is_ok(), allowed, "{count}");
        }
    }

    #[test]
    fn blended_residuals_lead_from_one_instance_to_the_other() {
        let shape = ImageShape::gray(1, 2);
        let instances = [vec![200, 0], vec![0, 100]].map(|pixels| Image::new(shape, pixels).unwrap());
        // A decoder that answers 0.5 everywhere, whatever the point.
        let decoded = vec![0.5; 6];
        let residuals = instances.each_ref().map(|instance| Residual::new(instance, &[0.5, 0.5]).unwrap());
        let line = images(shape, decoded, Some((&residuals[0], &residuals[1]))).unwrap();
        assert_eq!(line.pixels(), [200, 0, 100, 50, 0, 100]);
    }
}
