//! When calls are due, counted from the beginning: at even distances, or as strangers come.

use std::time::Duration;

use crate::known::Numbers;

/// Every `1 / per_second`, for so long.
pub fn even(per_second: f64, duration: Duration) -> impl Iterator<Item = Duration> {
    let count = (per_second * duration.as_secs_f64()).round() as u64;
    (0..count).map(move |index| Duration::from_secs_f64(index as f64 / per_second))
}

/// On average `per_second`, each without regard to the others (a Poisson process, exponential gaps): some come
/// together, as users who know nothing of each other do. The same ones from the same seed.
pub fn random(per_second: f64, duration: Duration, seed: u64) -> impl Iterator<Item = Duration> {
    let mut numbers = Numbers::new(seed);
    let mut due = 0.0;
    let next = move || {
        due += -(1.0 - numbers.unit()).ln() / per_second;
        due
    };
    std::iter::repeat_with(next).map(Duration::from_secs_f64).take_while(move |due| *due < duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_calls_are_due_at_even_distances() {
        let due: Vec<Duration> = even(4.0, Duration::from_secs(1)).collect();
        assert_eq!(due, [0, 250, 500, 750].map(Duration::from_millis));
    }

    /// Of a Poisson process of mean n the count has the deviation √n, and the gaps have a deviation like their mean.
    #[test]
    fn random_calls_come_at_their_rate_and_in_bursts() {
        let due: Vec<f64> = random(100.0, Duration::from_secs(100), 5).map(|due| due.as_secs_f64()).collect();
        assert!((9_600..10_400).contains(&due.len()), "{}", due.len());
        assert!(due.is_sorted());
        let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.9..1.1).contains(&(variance.sqrt() / mean)), "{mean} {variance}");
        assert!(random(100.0, Duration::from_secs(1), 5).eq(random(100.0, Duration::from_secs(1), 5)));
    }
}
