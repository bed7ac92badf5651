//! How the calls of one stretch of load ended, and how long they took.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use tonic::{Code, Status};

/// Longest time that a histogram tells apart, in microseconds: ten minutes.
const LONGEST_MICROS: u64 = 600_000_000;

/// How the calls of one stretch of load ended.
#[derive(Debug)]
pub struct Report {
    /// From the due time to the answer, of calls that succeeded; microseconds.
    pub succeeded: Histogram<u64>,
    /// From the sending to the answer, of calls that were told that there is no room. What the generator itself
    /// was late is in [`Report::lag`] and no fault of whoever refuses.
    pub refused: Histogram<u64>,
    /// From the due time to the answer, of all other failures.
    pub failed: Histogram<u64>,
    /// From the due time to the sending: how late the generator was, whose processor the system may share.
    pub lag: Histogram<u64>,
    /// How often each code was answered.
    pub codes: BTreeMap<String, u64>,
    /// Refusals that did not say when to come back.
    pub refused_without_delay: u64,
    /// Due calls that were not sent because too many were under way.
    pub unsent: u64,
    /// From the first call to the last one's turn or to the last answer, whichever is later.
    pub duration: Duration,
}

/// One call, as its generator saw it.
pub(super) struct Call {
    /// From the moment it was due until it was sent.
    pub(super) lag: Duration,
    /// From its sending to its answer.
    pub(super) took: Duration,
    pub(super) outcome: Result<(), Status>,
}

impl Report {
    pub(super) fn new(duration: Duration) -> Self {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("the bounds are in order");
        Self {
            succeeded: histogram(),
            refused: histogram(),
            failed: histogram(),
            lag: histogram(),
            codes: BTreeMap::new(),
            refused_without_delay: 0,
            unsent: 0,
            duration,
        }
    }

    pub(super) fn record(&mut self, call: Call) {
        let Call { lag, took, outcome } = call;
        let code = outcome.as_ref().err().map_or(Code::Ok, Status::code);
        *self.codes.entry(format!("{code:?}")).or_default() += 1;
        let (histogram, time) = match code {
            Code::Ok => (&mut self.succeeded, lag + took),
            Code::ResourceExhausted => (&mut self.refused, took),
            _ => (&mut self.failed, lag + took),
        };
        histogram.saturating_record(micros(time));
        self.lag.saturating_record(micros(lag));
        if let Err(status) = outcome
            && code == Code::ResourceExhausted
        {
            let details = tonic_types::StatusExt::get_error_details(&status);
            self.refused_without_delay += u64::from(details.retry_info().is_none());
        }
    }

    /// Successes a second.
    pub fn goodput(&self) -> f64 {
        self.succeeded.len() as f64 / self.duration.as_secs_f64()
    }

    /// A quantile of the successes, in milliseconds.
    pub fn success_ms(&self, quantile: f64) -> f64 {
        self.succeeded.value_at_quantile(quantile) as f64 / 1e3
    }

    /// A quantile of the refusals, in milliseconds.
    pub fn refusal_ms(&self, quantile: f64) -> f64 {
        self.refused.value_at_quantile(quantile) as f64 / 1e3
    }

    /// A quantile of the generator's own lateness, in milliseconds.
    pub fn lag_ms(&self, quantile: f64) -> f64 {
        self.lag.value_at_quantile(quantile) as f64 / 1e3
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a generator that was 70 ms late: its user waited 80 ms for an answer, but was refused within 10.
    #[test]
    fn a_late_generator_is_no_slow_refusal() {
        let mut report = Report::new(Duration::from_secs(1));
        let (lag, took) = (Duration::from_millis(70), Duration::from_millis(10));
        for outcome in [Ok(()), Err(Status::resource_exhausted("full")), Err(Status::internal("broken"))] {
            report.record(Call { lag, took, outcome });
        }
        // Three digits are kept.
        let is = |value: f64, expected: f64| (value / expected - 1.0).abs() < 1e-3;
        assert!(is(report.success_ms(1.0), 80.0) && is(report.refusal_ms(1.0), 10.0) && is(report.lag_ms(0.5), 70.0));
        assert!(is(report.failed.max() as f64, 80_000.0));
        assert_eq!((report.goodput(), report.refused_without_delay), (1.0, 1));
    }
}
