//! Mixing colors in OKLab (Ottosson 2020), where equal steps look equal. Pure.

use super::colors::Rgb;

/// The color at `share` of the way from one color to another, straight in OKLab.
pub(super) fn mix(from: Rgb, to: Rgb, share: f64) -> Rgb {
    let share = share.clamp(0.0, 1.0);
    let (from, to) = (oklab(from), oklab(to));
    from_oklab(std::array::from_fn(|i| from[i] + (to[i] - from[i]) * share))
}

pub(super) fn linear(channel: u8) -> f64 {
    let c = f64::from(channel) / 255.0;
    if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
}

fn encoded(c: f64) -> u8 {
    let c = c.clamp(0.0, 1.0);
    let gamma = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
    (gamma * 255.0).round() as u8
}

pub(super) fn oklab(color: Rgb) -> [f64; 3] {
    let [r, g, b] = [color.0, color.1, color.2].map(linear);
    let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
    let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
    let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
    [
        0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s,
        1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s,
        0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s,
    ]
}

fn from_oklab([lightness, a, b]: [f64; 3]) -> Rgb {
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    Rgb(
        encoded(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
        encoded(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
        encoded(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_color_survives_the_way_through_oklab() {
        for color in [Rgb(0, 0, 0), Rgb(255, 255, 255), Rgb(0xd5, 0x5e, 0x00), Rgb(0x5d, 0x3a, 0x9b), Rgb(1, 2, 3)] {
            assert_eq!(from_oklab(oklab(color)), color);
        }
    }

    #[test]
    fn white_and_black_have_the_published_lightness() {
        assert!((oklab(Rgb(255, 255, 255))[0] - 1.0).abs() < 1e-6 && oklab(Rgb(0, 0, 0))[0].abs() < 1e-9);
    }
}
