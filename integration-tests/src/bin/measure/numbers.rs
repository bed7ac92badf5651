//! What is told of many measured values: the middle, the ends, a share.

use std::fmt;

/// The middle of several rounds and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// Half of the rounds are below it.
    pub(super) median: f64,
    /// The smallest.
    pub(super) least: f64,
    /// The largest.
    pub(super) most: f64,
}

impl Spread {
    /// Of no values at all it is not a number, which no bar accepts.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let sorted = sorted(values);
        Self { median: percentile(&sorted, 0.5), least: percentile(&sorted, 0.0), most: percentile(&sorted, 1.0) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}

/// In ascending order.
pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value below which `share` of the sorted values lie, between two of them where it must be; not a number
/// where there are none.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = last as f64 * share;
    let below = position.floor() as usize;
    let rest = position - below as f64;
    sorted[below] + rest * (sorted[(below + 1).min(last)] - sorted[below])
}

/// The middle value.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    Spread::of(values).median
}

/// Of no values it is not a number.
pub(super) fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_of_values_lies_between_two_of_them() {
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0].into_iter());
        assert_eq!(spread, Spread { median: 2.5, least: 1.0, most: 4.0 });
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 0.75), 2.5);
    }

    #[test]
    fn of_nothing_nothing_is_told() {
        assert!(median(std::iter::empty()).is_nan());
        assert!(mean([].into_iter()).is_nan());
    }
}
