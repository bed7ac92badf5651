//! Load as users make it: an open loop, in which calls come when they come, however long earlier ones take.
//! Each is timed from the moment it was due, so that a system that stands still is not measured less often.

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{sync::mpsc, task::JoinSet};
use tonic::{Code, Status};

/// Calls under way at once; more are counted as never sent.
const MAX_OPEN: usize = 8_192;
/// Longest time that a histogram tells apart, in microseconds: ten minutes.
const LONGEST_MICROS: u64 = 600_000_000;

/// How the calls of one stretch of load ended.
#[derive(Debug)]
pub struct Report {
    /// From the due time to the answer, of calls that succeeded; microseconds.
    pub succeeded: Histogram<u64>,
    /// Likewise of calls that were told that there is no room.
    pub refused: Histogram<u64>,
    /// Likewise of all other failures.
    pub failed: Histogram<u64>,
    /// How often each code was answered.
    pub codes: BTreeMap<String, u64>,
    /// Refusals that did not say when to come back.
    pub refused_without_delay: u64,
    /// Due calls that were not sent because too many were under way.
    pub unsent: u64,
    /// From the first call to the last one's turn or to the last answer, whichever is later.
    pub duration: Duration,
}

impl Report {
    fn new(duration: Duration) -> Self {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("the bounds are in order");
        Self {
            succeeded: histogram(),
            refused: histogram(),
            failed: histogram(),
            codes: BTreeMap::new(),
            refused_without_delay: 0,
            unsent: 0,
            duration,
        }
    }

    fn record(&mut self, took: Duration, outcome: Result<(), Status>) {
        let code = outcome.as_ref().err().map_or(Code::Ok, Status::code);
        *self.codes.entry(format!("{code:?}")).or_default() += 1;
        let histogram = match code {
            Code::Ok => &mut self.succeeded,
            Code::ResourceExhausted => &mut self.refused,
            _ => &mut self.failed,
        };
        histogram.saturating_record(took.as_micros() as u64);
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
}

/// Makes a call `per_second` times a second for `duration`, and waits for the last answer.
pub async fn open_loop<F>(per_second: f64, duration: Duration, mut call: impl FnMut(u64) -> F) -> Report
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let mut report = Report::new(duration);
    let (sender, mut outcomes) = mpsc::unbounded_channel();
    let mut open = JoinSet::new();
    let start = tokio::time::Instant::now();
    let count = (per_second * duration.as_secs_f64()).round() as u64;
    for index in 0..count {
        let due = start + Duration::from_secs_f64(index as f64 / per_second);
        tokio::time::sleep_until(due).await;
        while open.try_join_next().is_some() {}
        while let Ok((took, outcome)) = outcomes.try_recv() {
            report.record(took, outcome);
        }
        if open.len() >= MAX_OPEN {
            report.unsent += 1;
            continue;
        }
        let (call, sender) = (call(index), sender.clone());
        open.spawn(async move {
            let outcome = call.await;
            sender.send((due.elapsed(), outcome)).ok();
        });
    }
    drop(sender);
    while let Some((took, outcome)) = outcomes.recv().await {
        report.record(took, outcome);
    }
    // What is answered after the last call came is no goodput of the time before.
    report.duration = duration.max(start.elapsed());
    report
}

/// Keeps `callers` calls under way for `duration`: what a system can do at most.
pub async fn closed_loop<F>(
    callers: usize,
    duration: Duration,
    call: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Report
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, mut outcomes) = mpsc::unbounded_channel();
    let end = Instant::now() + duration;
    let mut open = JoinSet::new();
    for caller in 0..callers {
        let (call, sender) = (call.clone(), sender.clone());
        open.spawn(async move {
            let mut index = caller as u64;
            while Instant::now() < end {
                let begun = Instant::now();
                let outcome = call(index).await;
                index += callers as u64;
                sender.send((begun.elapsed(), outcome)).ok();
            }
        });
    }
    drop(sender);
    let begun = Instant::now();
    let mut report = Report::new(duration);
    while let Some((took, outcome)) = outcomes.recv().await {
        report.record(took, outcome);
    }
    // The last ones end after the time is up.
    report.duration = begun.elapsed();
    report
}

/// Memory of a process in MiB, by Linux's own account; `None` elsewhere or if it is gone.
pub fn resident_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system that stands still for the first half second: most of its callers wait, and the report says so.
    /// A generator that waited for each answer would have seen one slow call.
    #[tokio::test(start_paused = true)]
    async fn a_system_that_stands_still_is_seen_by_all_who_came_meanwhile() {
        let start = tokio::time::Instant::now();
        let report = open_loop(100.0, Duration::from_secs(1), |_| async move {
            tokio::time::sleep_until(start + Duration::from_millis(500)).await;
            Ok(())
        })
        .await;
        assert_eq!(report.succeeded.len(), 100);
        let (quarter, worst) = (report.success_ms(0.75), report.success_ms(1.0));
        assert!((240.0..260.0).contains(&quarter) && (495.0..505.0).contains(&worst), "{quarter} {worst}");
        assert_eq!(report.goodput(), 100.0);
    }

    #[tokio::test]
    async fn refusals_and_failures_are_told_apart() {
        let report = open_loop(1_000.0, Duration::from_millis(30), |index| async move {
            match index % 3 {
                0 => Ok(()),
                1 => Err(Status::resource_exhausted("full")),
                _ => Err(Status::unavailable("gone")),
            }
        })
        .await;
        assert_eq!((report.succeeded.len(), report.refused.len(), report.failed.len()), (10, 10, 10));
        assert_eq!(report.refused_without_delay, 10);
    }
}
