//! How long to wait before a broken stream is opened again.

/// First wait in milliseconds.
const FIRST_MS: f64 = 500.0;
/// Longest wait in milliseconds.
const LONGEST_MS: f64 = 10_000.0;

/// The wait before attempt `attempt` (from 0) in milliseconds: doubling, at most ten seconds, of which a
/// random half is taken off so that many pages do not come back at once. `random` is in `[0, 1)`.
pub fn delay_ms(attempt: u32, random: f64) -> u32 {
    let whole = (FIRST_MS * f64::from(1_u32 << attempt.min(16))).min(LONGEST_MS);
    (whole * (1.0 - random.clamp(0.0, 1.0) / 2.0)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_seconds_and_never_vanish() {
        assert_eq!([0, 1, 2, 5, 900].map(|attempt| delay_ms(attempt, 0.0)), [500, 1_000, 2_000, 10_000, 10_000]);
        assert_eq!(delay_ms(0, 1.0), 250);
    }
}
