//! Bands: where neighbors are drawn on each axis, and how pointer and keys move their ends. Pure.

use domain::{LatentRange, NeighborhoodSpec};

/// The band of one axis: its own range, or center ± radius.
pub fn band(dimension: usize, center: &[f32], radius: f32, ranges: &[LatentRange]) -> LatentRange {
    let own = ranges.iter().find(|range| range.dimension == dimension).copied();
    own.unwrap_or_else(|| {
        let middle = center.get(dimension).copied().unwrap_or(0.0);
        LatentRange { dimension, low: middle - radius, high: middle + radius }
    })
}

/// Which end of a band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The lower one.
    Low,
    /// The upper one.
    High,
}

/// The ranges after one end of one band was moved; ends push no further than each other.
pub fn with_end(ranges: &[LatentRange], band: LatentRange, end: End, value: f32) -> Vec<LatentRange> {
    let limit = NeighborhoodSpec::MAX_COORDINATE;
    let moved = match end {
        End::Low => LatentRange { low: value.clamp(-limit, band.high), ..band },
        End::High => LatentRange { high: value.clamp(band.low, limit), ..band },
    };
    let mut all: Vec<LatentRange> = without(ranges, band.dimension);
    all.push(moved);
    all.sort_by_key(|range| range.dimension);
    all
}

/// The ranges without the one of a dimension.
pub fn without(ranges: &[LatentRange], dimension: usize) -> Vec<LatentRange> {
    ranges.iter().filter(|range| range.dimension != dimension).copied().collect()
}

/// How far a key moves a slider; `None` for a key that does not.
pub fn key_step(key: &str, fine: bool) -> Option<f32> {
    let unit = if fine { 0.01 } else { 0.1 };
    match key {
        "ArrowUp" => Some(unit),
        "ArrowDown" => Some(-unit),
        "PageUp" => Some(1.0),
        "PageDown" => Some(-1.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_without_a_range_is_banded_by_the_radius() {
        let own = [LatentRange { dimension: 1, low: -2.0, high: 2.0 }];
        assert_eq!(band(1, &[0.0, 1.0], 0.5, &own), own[0]);
        assert_eq!(band(0, &[0.0, 1.0], 0.5, &own), LatentRange { dimension: 0, low: -0.5, high: 0.5 });
    }

    #[test]
    fn a_bands_ends_never_cross() {
        let band = LatentRange { dimension: 2, low: -0.5, high: 0.5 };
        let ranges = with_end(&[], band, End::Low, 3.0);
        assert_eq!(ranges, [LatentRange { dimension: 2, low: 0.5, high: 0.5 }]);
        assert_eq!(with_end(&ranges, band, End::High, 1.0).len(), 1);
        assert!(without(&ranges, 2).is_empty());
    }
}
