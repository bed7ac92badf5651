//! A signed picture: one number a pixel.

use crate::{
    error::{Error, Result},
    image::ImageShape,
};

/// Signed values shaped like the image they explain, finite, row-major, channel-first.
#[derive(Debug, Clone, PartialEq)]
pub struct Heatmap {
    shape: ImageShape,
    values: Vec<f32>,
}

impl Heatmap {
    /// Checks length and finiteness.
    pub fn new(shape: ImageShape, values: Vec<f32>) -> Result<Self> {
        if values.len() != shape.pixel_count() {
            return Err(Error::invalid("values", format!("{} values do not fill a {shape} heatmap", values.len())));
        }
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid("values", format!("value {position} is not finite")));
        }
        Ok(Self { shape, values })
    }

    /// Its shape.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Its values.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Largest absolute value: the limit of a symmetric scale.
    pub fn max_abs(&self) -> f32 {
        self.values.iter().fold(0.0, |max, value| max.max(value.abs()))
    }

    /// Cosine of the angle between two maps as vectors; 0 where one is flat.
    pub fn cosine(&self, other: &Heatmap) -> f64 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let norms = (dot(&self.values, &self.values) * dot(&other.values, &other.values)).sqrt();
        if norms > 0.0 { dot(&self.values, &other.values) / norms } else { 0.0 }
    }
}
