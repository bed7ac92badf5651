//! Numbers as people read them: sensible digits, thousands apart, a real minus sign.

/// `60,000`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in `[0, 1]` as `96.4 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A share in `[0, 1]` as `96 %`; a small one is not rounded to nothing.
pub fn short_percent(share: f64) -> String {
    if share > 0.0 && share < 0.005 {
        "under 1 %".to_owned()
    } else if (0.995..1.0).contains(&share) {
        "over 99 %".to_owned()
    } else {
        format!("{:.0} %", share * 100.0)
    }
}

/// About two significant digits: `0.012`, `0.43`, `12`. Zero is `0`.
pub fn sensible(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = (1 - magnitude).clamp(0, 8) as usize;
    minus(&format!("{value:.decimals$}"))
}

/// As [`sensible`] with at most four decimals: below them a divergence says only that it is small.
pub fn small(value: f64) -> String {
    if value > 0.0 && value < 5e-5 {
        return "<0.0001".to_owned();
    }
    if value > 0.0 && value < 1e-3 { format!("{value:.4}") } else { sensible(value) }
}

/// Two decimals with a sign: `+0.42`, `−1.30`.
pub fn signed(value: f64) -> String {
    minus(&format!("{value:+.2}"))
}

/// A box's text: the shortest form that reads back as the same number.
pub fn plain(value: f64) -> String {
    let magnitude = value.abs();
    if value != 0.0 && !(1e-4..1e15).contains(&magnitude) { format!("{value:e}") } else { format!("{value}") }
}

/// `2 min 5 s`, `40 s`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3_600, whole % 3_600 / 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (60_000, "60,000"), (1_234_567, "1,234,567")];
        for (value, text) in cases {
            assert_eq!(count(value), text);
        }
    }

    #[test]
    fn numbers_have_sensible_digits() {
        let cases = [(0.0123, "0.012"), (0.43, "0.43"), (12.3, "12"), (-0.5, "\u{2212}0.50"), (0.0, "0")];
        for (value, text) in cases {
            assert_eq!(sensible(value), text);
        }
        assert_eq!((plain(0.003), plain(1e-7), plain(1000.0)), ("0.003".into(), "1e-7".into(), "1000".into()));
        assert_eq!((short_percent(0.001), short_percent(0.9990)), ("under 1 %".into(), "over 99 %".into()));
        assert_eq!((small(0.0003), small(1e-9), small(0.012)), ("0.0003".into(), "<0.0001".into(), "0.012".into()));
        assert_eq!(duration(125.2), "2 min 5 s");
    }
}
