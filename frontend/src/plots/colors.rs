//! The page's colors as numbers, and the two color scales, so made that equal steps in a value look
//! like equal steps in color.

use std::sync::OnceLock;

use domain::Label;

use super::oklab::{linear, mix};

/// Red, green and blue, 0 to 255, gamma-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// Paper of images, and zero of every signed map.
pub const WHITE: Rgb = Rgb(0xff, 0xff, 0xff);
/// ◆ the true label.
pub const GOLD: Rgb = Rgb(0xe6, 0x9f, 0x00);
/// ● the teacher's answer.
pub const PREDICTED: Rgb = Rgb(0xd5, 0x5e, 0x00);
/// Many errors in a cell.
pub const ERRORS: Rgb = Rgb(0x7a, 0x1f, 0x5c);
/// Against: the negative end of signed maps.
pub const AGAINST: Rgb = Rgb(0x5d, 0x3a, 0x9b);
/// Towards: the positive end of signed maps.
pub const TOWARDS: Rgb = Rgb(0xe6, 0x61, 0x00);

/// Classes that are neither ◆ nor ●, by label: Okabe-Ito and Tol's muted set, told apart by people
/// with any color vision. Orange tones are left to ◆ and ●.
const OTHER_CLASSES: [Rgb; 10] = [
    Rgb(0x00, 0x72, 0xb2),
    Rgb(0x56, 0xb4, 0xe9),
    Rgb(0x00, 0x9e, 0x73),
    Rgb(0xcc, 0x79, 0xa7),
    Rgb(0x5a, 0x4f, 0xcf),
    Rgb(0x88, 0x22, 0x55),
    Rgb(0x44, 0xaa, 0x99),
    Rgb(0x8a, 0x8a, 0x2b),
    Rgb(0x66, 0x99, 0xcc),
    Rgb(0x11, 0x77, 0x33),
];

impl Rgb {
    /// `#d55e00`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// Luminance of WCAG 2, in `[0, 1]`.
    pub fn luminance(self) -> f64 {
        let [r, g, b] = [self.0, self.1, self.2].map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }
}

/// How a class is underlined, so that color is never alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// ● the teacher's answer to the chosen image.
    Solid,
    /// ◆ the true label.
    Dashed,
    /// Any other class.
    Dotted,
}

impl Stroke {
    /// Whether pixel `x` of a line is drawn.
    pub fn covers(self, x: usize) -> bool {
        match self {
            Self::Solid => true,
            Self::Dashed => x % 7 < 5,
            Self::Dotted => x.is_multiple_of(3),
        }
    }

    /// The same as an SVG `stroke-dasharray`.
    pub fn dash_array(self) -> &'static str {
        match self {
            Self::Solid => "none",
            Self::Dashed => "5 2",
            Self::Dotted => "1 2",
        }
    }
}

/// The color and underline of a class in plots, given the chosen image's two labels.
pub fn class_style(label: Label, gold: Option<Label>, predicted: Option<Label>) -> (Rgb, Stroke) {
    if predicted == Some(label) {
        (PREDICTED, Stroke::Solid)
    } else if gold == Some(label) {
        (GOLD, Stroke::Dashed)
    } else {
        (OTHER_CLASSES[label.index() % OTHER_CLASSES.len()], Stroke::Dotted)
    }
}

/// White → error color; `share` in `[0, 1]` of the largest value.
pub fn sequential(share: f64) -> Rgb {
    mix(WHITE, ERRORS, share)
}

/// Violet → white at zero → orange, symmetric: `value / limit` is clamped to ±1. A limit of 0 is flat.
pub fn diverging(value: f32, limit: f32) -> Rgb {
    static SCALE: OnceLock<[[Rgb; STEPS + 1]; 2]> = OnceLock::new();
    let scale = SCALE.get_or_init(|| {
        let half = |end| std::array::from_fn(|i| mix(WHITE, end, i as f64 / STEPS as f64));
        [half(AGAINST), half(TOWARDS)]
    });
    let share = if limit > 0.0 { (value / limit).clamp(-1.0, 1.0) } else { 0.0 };
    let step = (share.abs() * STEPS as f32).round() as usize;
    scale[usize::from(share > 0.0)][step]
}

/// Steps of each half of the diverging scale: as many as a channel can show.
const STEPS: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::oklab::oklab;

    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let (a, b) = (a.luminance() + 0.05, b.luminance() + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn zero_of_a_signed_map_is_exactly_white() {
        assert_eq!(diverging(0.0, 1.0), WHITE);
        assert_eq!(diverging(-0.0, 0.3), WHITE);
        assert_eq!(diverging(5.0, 0.0), WHITE, "a flat map has no color");
        assert_eq!(sequential(0.0), WHITE);
    }

    #[test]
    fn the_ends_of_the_scales_are_the_tokens() {
        assert_eq!((diverging(2.0, 2.0), diverging(-2.0, 2.0)), (TOWARDS, AGAINST));
        assert_eq!(diverging(99.0, 2.0), TOWARDS, "beyond the limit is clamped");
        assert_eq!(sequential(1.0), ERRORS);
    }

    #[test]
    fn opposite_values_are_equally_far_along_their_halves() {
        let along = |color: Rgb, end: Rgb| {
            let (white, end, color) = (oklab(WHITE), oklab(end), oklab(color));
            (white[0] - color[0]) / (white[0] - end[0])
        };
        for i in 0..=20 {
            let value = i as f32 / 20.0;
            let towards = along(diverging(value, 1.0), TOWARDS);
            let against = along(diverging(-value, 1.0), AGAINST);
            assert!((towards - against).abs() < 0.02, "{value}: {towards} and {against}");
            assert!((towards - f64::from(value)).abs() < 0.02);
        }
    }

    #[test]
    fn both_scales_get_darker_all_the_way() {
        for i in 0..50 {
            let (a, b) = (i as f64 / 50.0, (i + 1) as f64 / 50.0);
            assert!(sequential(a).luminance() >= sequential(b).luminance());
            assert!(diverging(-a as f32, 1.0).luminance() >= diverging(-b as f32, 1.0).luminance());
        }
    }

    #[test]
    fn a_class_has_one_color_and_its_underline_tells_its_role_without_color() {
        let (gold, predicted) = (Some(Label(3)), Some(Label(5)));
        assert_eq!(class_style(Label(5), gold, predicted), (PREDICTED, Stroke::Solid));
        assert_eq!(class_style(Label(3), gold, predicted), (GOLD, Stroke::Dashed));
        assert_eq!(class_style(Label(5), Some(Label(5)), predicted), (PREDICTED, Stroke::Solid));
        let others: Vec<Rgb> = (0..10).map(|i| class_style(Label(i), None, None).0).collect();
        for (i, color) in others.iter().enumerate() {
            assert!(!others[..i].contains(color) && contrast(*color, WHITE) > 2.2, "{}", color.hex());
        }
    }
}
