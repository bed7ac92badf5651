//! Where axes, lines and bands of parallel coordinates lie, and what is under the pointer. Pure.
//! Values are latent coordinates in units of the prior's standard deviation; lengths are CSS pixels.

use domain::Neighbor;

use crate::plots::measure::Size;

/// Room above for the axes' names, below, left for the ticks, right.
const MARGIN: [f64; 4] = [26.0, 10.0, 30.0, 16.0];
/// Half the axis without zoom: 3.5 standard deviations hold 99.95 % of the prior.
pub const PRIOR_EXTENT: f32 = 3.5;
/// Farthest a handle can be dragged: beyond it the decoder has seen nothing.
pub const FARTHEST: f32 = 5.0;
/// A line is under the pointer within so many pixels.
const REACH: f64 = 7.0;

/// The range that all axes share, so that lengths on them can be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// At the bottom.
    pub low: f32,
    /// At the top.
    pub high: f32,
}

impl Scale {
    /// ±3.5, widened where values lie beyond; with `fit`, just wide enough for the values.
    pub fn around(values: impl Iterator<Item = f32>, fit: bool) -> Self {
        let start = if fit { 1.0 } else { PRIOR_EXTENT };
        let (mut low, mut high) = (-start, start);
        for value in values.filter(|value| value.is_finite()) {
            low = low.min(value - 0.1);
            high = high.max(value + 0.1);
        }
        Self { low: (low * 4.0).floor() / 4.0, high: (high * 4.0).ceil() / 4.0 }
    }

    /// Whole numbers on the axis, at most nine.
    pub fn ticks(self) -> Vec<i32> {
        let (low, high) = (self.low.ceil() as i32, self.high.floor() as i32);
        let step = ((high - low) / 8 + 1).max(1);
        (low..=high).filter(|tick| tick % step == 0).collect()
    }
}

/// Parallel axes in a box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axes {
    /// The whole drawing.
    pub size: Size,
    /// Of every axis.
    pub scale: Scale,
    /// Latent dimensions, at least 1.
    pub dimension_count: usize,
}

impl Axes {
    /// Top end of the axes.
    pub fn top(&self) -> f64 {
        MARGIN[0]
    }

    /// Bottom end of the axes.
    pub fn bottom(&self) -> f64 {
        (self.size.height - MARGIN[1]).max(MARGIN[0] + 1.0)
    }

    /// Pixels between two axes.
    pub fn gap(&self) -> f64 {
        let width = (self.size.width - MARGIN[2] - MARGIN[3]).max(1.0);
        width / self.dimension_count.saturating_sub(1).max(1) as f64
    }

    /// Where the axis of a dimension stands.
    pub fn x(&self, dimension: usize) -> f64 {
        MARGIN[2] + self.gap() * dimension as f64
    }

    /// Height of a value.
    pub fn y(&self, value: f32) -> f64 {
        let span = f64::from(self.scale.high - self.scale.low);
        let share = f64::from(self.scale.high - value) / span;
        self.top() + share * (self.bottom() - self.top())
    }

    /// As [`Axes::y`], kept within the axis, so that a handle far out can still be grasped.
    pub fn clamped_y(&self, value: f32) -> f64 {
        self.y(value).clamp(self.top(), self.bottom())
    }

    /// The value at a height, kept within ±[`FARTHEST`].
    pub fn value(&self, y: f64) -> f32 {
        let share = (y - self.top()) / (self.bottom() - self.top());
        let value = f64::from(self.scale.high) - share * f64::from(self.scale.high - self.scale.low);
        (value as f32).clamp(-FARTHEST, FARTHEST)
    }

    /// SVG `points` of one line.
    pub fn points(&self, values: &[f32]) -> String {
        let point = |(dimension, &value): (usize, &f32)| format!("{:.1},{:.1}", self.x(dimension), self.y(value));
        values.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
    }

    /// Every how many axes a name fits: names need about 20 px.
    pub fn name_step(&self) -> usize {
        (20.0 / self.gap()).ceil().max(1.0) as usize
    }

    /// The line nearest to a point, if one is within reach; `drawn` says which lines are on the page.
    pub fn line_at(&self, x: f64, y: f64, lines: &[Neighbor], drawn: impl Fn(usize) -> bool) -> Option<usize> {
        let last = self.dimension_count.saturating_sub(1);
        let position = ((x - self.x(0)) / self.gap()).clamp(0.0, last as f64);
        let left = (position.floor() as usize).min(last.saturating_sub(1));
        let right = (left + 1).min(last);
        let share = (position - left as f64).clamp(0.0, 1.0);
        let mut best = (REACH, None);
        for (index, line) in lines.iter().enumerate().filter(|(index, _)| drawn(*index)) {
            let (Some(&a), Some(&b)) = (line.latent.get(left), line.latent.get(right)) else { continue };
            let distance = (self.y(a) * (1.0 - share) + self.y(b) * share - y).abs();
            if distance < best.0 {
                best = (distance, Some(index));
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use domain::{SoftLabels, Temperature};
    use proptest::prelude::*;

    use super::*;

    fn axes(dimension_count: usize) -> Axes {
        let size = Size { width: 530.0, height: 240.0 };
        Axes { size, scale: Scale { low: -3.5, high: 3.5 }, dimension_count }
    }

    fn line(latent: Vec<f32>) -> Neighbor {
        let soft_labels = SoftLabels { probabilities: vec![1.0], temperature: Temperature::ONE };
        Neighbor { index: 0, latent, soft_labels, image: None }
    }

    proptest! {
        #[test]
        fn a_height_reads_back_as_the_value_it_shows(value in -3.5f32..3.5) {
            let axes = axes(10);
            prop_assert!((axes.value(axes.y(value)) - value).abs() < 1e-4);
        }

        #[test]
        fn the_scale_holds_all_values(values in prop::collection::vec(-20f32..20.0, 0..20), fit: bool) {
            let scale = Scale::around(values.iter().copied(), fit);
            for value in values {
                prop_assert!(scale.low < value && value < scale.high);
            }
            prop_assert!(scale.ticks().len() <= 9);
        }
    }

    #[test]
    fn axes_fill_the_box_from_side_to_side() {
        let axes = axes(10);
        assert_eq!(axes.x(0), MARGIN[2]);
        assert!((axes.x(9) - (530.0 - MARGIN[3])).abs() < 1e-9);
        assert_eq!(axes.name_step(), 1);
        assert!(super::Axes { dimension_count: 64, ..axes }.name_step() > 1);
    }

    #[test]
    fn the_nearest_line_within_reach_is_found_between_axes() {
        let axes = axes(3);
        let lines = [line(vec![0.0, 0.0, 0.0]), line(vec![1.0, 2.0, 1.0])];
        let x = (axes.x(0) + axes.x(1)) / 2.0;
        assert_eq!(axes.line_at(x, axes.y(1.5) + 2.0, &lines, |_| true), Some(1));
        assert_eq!(axes.line_at(x, axes.y(0.75), &lines, |_| true), None, "too far from both");
        assert_eq!(axes.line_at(x, axes.y(1.5), &lines, |index| index == 0), None, "that line is not drawn");
    }

    #[test]
    fn a_single_dimension_is_drawn_too() {
        let axes = axes(1);
        assert!(axes.x(0).is_finite() && axes.line_at(axes.x(0), axes.y(0.0), &[line(vec![0.0])], |_| true).is_some());
    }
}
