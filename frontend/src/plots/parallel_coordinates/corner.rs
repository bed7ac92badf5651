//! Which corner of the plot the image's line leaves free, so that pictures laid over it hide no handle. Pure.

/// A corner of the plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corner {
    /// Over the last axes, high values.
    TopRight,
    /// Over the last axes, low values.
    BottomRight,
    /// Over the first axes, high values.
    TopLeft,
    /// Over the first axes, low values.
    BottomLeft,
}

impl Corner {
    const ALL: [Self; 4] = [Self::BottomRight, Self::TopRight, Self::BottomLeft, Self::TopLeft];

    /// CSS classes that put a box there.
    pub fn class(self) -> &'static str {
        match self {
            Self::TopRight => "is-top is-right",
            Self::BottomRight => "is-bottom is-right",
            Self::TopLeft => "is-top is-left",
            Self::BottomLeft => "is-bottom is-left",
        }
    }

    /// Distance of the nearest handle from the far side: larger is freer.
    fn room(self, line: &[f32]) -> f32 {
        let covered = line.len().div_ceil(3);
        let (first, last) = (&line[..covered], &line[line.len() - covered..]);
        let lowest = |values: &[f32]| values.iter().copied().fold(f32::INFINITY, f32::min);
        let highest = |values: &[f32]| values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        match self {
            Self::TopRight => -highest(last),
            Self::BottomRight => lowest(last),
            Self::TopLeft => -highest(first),
            Self::BottomLeft => lowest(first),
        }
    }
}

/// The freest corners of a line, best first.
pub fn freest(line: &[f32]) -> [Corner; 4] {
    let mut corners = Corner::ALL;
    corners.sort_by(|a, b| b.room(line).total_cmp(&a.room(line)));
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_lies_where_the_line_does_not() {
        assert_eq!(freest(&[0.0, 0.0, 0.0, 0.0, 2.0, 2.0])[0], Corner::BottomRight);
        assert_eq!(freest(&[0.0, 0.0, 0.0, 0.0, -2.0, -2.0])[0], Corner::TopRight);
        assert_eq!(freest(&[3.0, 3.0, 0.0, 0.0, -2.0, 2.0])[0], Corner::BottomLeft);
        assert_eq!(freest(&[-3.0, -3.0, 0.0, 0.0, -2.0, 2.0])[0], Corner::TopLeft);
    }

    #[test]
    fn a_line_of_any_length_has_four_corners() {
        for length in [0, 1, 2, 64] {
            assert_eq!(freest(&vec![0.0; length]).len(), 4);
        }
    }
}
