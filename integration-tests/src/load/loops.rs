//! Generators: an open loop, whose calls come when they are due, and a closed one, whose callers wait.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};
use tonic::Status;

use super::report::{Call, Report};

/// Calls under way at once; more are counted as never sent.
const MAX_OPEN: usize = 8_192;
/// Before a caller of a closed loop that has failed calls again: it would count failures of its own making.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes a call at each moment that is `due`, in order and counted from now, and waits for the last answer.
/// `duration` is what the moments come from: the goodput's time is never shorter.
pub async fn open_loop<F>(
    due: impl Iterator<Item = Duration>,
    duration: Duration,
    mut call: impl FnMut(u64) -> F,
) -> Report
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let mut report = Report::new(duration);
    let (sender, mut calls) = mpsc::unbounded_channel();
    let mut open = JoinSet::new();
    let start = tokio::time::Instant::now();
    for (index, due) in due.enumerate() {
        let due = start + due;
        tokio::time::sleep_until(due).await;
        while open.try_join_next().is_some() {}
        while let Ok(call) = calls.try_recv() {
            report.record(call);
        }
        if open.len() >= MAX_OPEN {
            report.unsent += 1;
            continue;
        }
        let (call, sender) = (call(index as u64), sender.clone());
        open.spawn(async move {
            let lag = due.elapsed();
            let outcome = call.await;
            sender.send(Call { lag, took: due.elapsed().saturating_sub(lag), outcome }).ok();
        });
    }
    drop(sender);
    while let Some(call) = calls.recv().await {
        report.record(call);
    }
    // What is answered after the last call came is no goodput of the time before.
    report.duration = duration.max(start.elapsed());
    report
}

/// Keeps `callers` calls under way for `duration`: what a system can do at most with so many.
pub async fn closed_loop<F>(
    callers: usize,
    duration: Duration,
    call: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Report
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, mut calls) = mpsc::unbounded_channel();
    let begun = Instant::now();
    let end = begun + duration;
    let mut open = JoinSet::new();
    for caller in 0..callers {
        let (call, sender) = (call.clone(), sender.clone());
        open.spawn(async move {
            let mut index = caller as u64;
            while Instant::now() < end {
                let begun = Instant::now();
                let outcome = call(index).await;
                index += callers as u64;
                let has_failed = outcome.is_err();
                sender.send(Call { lag: Duration::ZERO, took: begun.elapsed(), outcome }).ok();
                if has_failed {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
    drop(sender);
    let mut report = Report::new(duration);
    while let Some(call) = calls.recv().await {
        report.record(call);
    }
    // The last ones end after the time is up.
    report.duration = begun.elapsed();
    report
}

#[cfg(test)]
mod tests {
    use super::{super::arrivals::even, *};

    const SECOND: Duration = Duration::from_secs(1);

    /// A system that stands still for the first half second: most of its callers wait, and the report says so.
    /// A generator that waited for each answer would have seen one slow call.
    #[tokio::test(start_paused = true)]
    async fn a_system_that_stands_still_is_seen_by_all_who_came_meanwhile() {
        let start = tokio::time::Instant::now();
        let report = open_loop(even(100.0, SECOND), SECOND, |_| async move {
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
        let duration = Duration::from_millis(30);
        let report = open_loop(even(1_000.0, duration), duration, |index| async move {
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

    /// Four callers and a system that takes a quarter of the time: at most sixteen calls, fewer on a busy machine.
    #[tokio::test]
    async fn a_closed_loop_keeps_its_callers_busy() {
        let call = |_| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(())
        };
        let report = closed_loop(4, Duration::from_millis(200), call).await;
        assert!((4..=16).contains(&report.succeeded.len()), "{}", report.succeeded.len());
        assert!(report.success_ms(0.0) >= 49.0);
    }
}
