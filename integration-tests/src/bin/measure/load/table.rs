//! The table of a measurement of load, and its bars.

use integration_tests::{load::Report, trust::Bar};

use super::machine::Usage;

/// Goodput under more load than can be taken, in peaks.
const GOODPUT: f64 = 0.9;
/// A refusal is told within this, in milliseconds.
const REFUSAL_MS: f64 = 10.0;
/// Memory that grows by less does not grow, in MiB.
const FLAT_MIB: f64 = 50.0;
/// How much longer a caller may wait beside a greedy one.
const FAIR: f64 = 2.0;

/// One stretch of load.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) report: Report,
    pub(super) usage: Usage,
}

pub(super) fn head() {
    println!(
        "{:>12} {:>9} {:>7} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8} {:>7} {:>8} {:>7} {:>7}",
        "offered",
        "goodput",
        "ok",
        "refused",
        "failed",
        "ok p50",
        "ok p99",
        "no p50",
        "no p99",
        "lag p99",
        "MiB",
        "system",
        "we"
    );
    println!("{:>30} {:>62} {:>8} {:>8} {:>7}", "a second", "milliseconds", "", "cores", "cores");
}

pub(super) fn tell(row: &Row) {
    let Row { what, report, usage } = row;
    println!(
        "{what:>12} {:>9.2} {:>7} {:>8} {:>8} {:>9.1} {:>9.1} {:>8.2} {:>8.2} {:>7.2} {:>8.1} {:>7.2} {:>7.2}",
        report.goodput(),
        report.succeeded.len(),
        report.refused.len(),
        report.failed.len(),
        report.success_ms(0.5),
        report.success_ms(0.99),
        report.refusal_ms(0.5),
        report.refusal_ms(0.99),
        report.lag_ms(0.99),
        usage.resident_mib,
        usage.system_cores,
        usage.own_cores,
    );
}

/// Of the stretches that sought the peak, of those with so many times the peak, and of a modest caller alone and
/// beside a greedy one.
pub(super) fn bars(peaks: &[Row], offered: &[(f64, Row)], alone: &Row, beside: &Row) -> Vec<Bar> {
    let overload = || offered.iter().filter(|(factor, _)| *factor > 1.0);
    // A peak that overload exceeds was none: the best that was seen is what the others are held against.
    let all = peaks.iter().chain(offered.iter().map(|(_, row)| row));
    let peak = all.map(|row| row.report.goodput()).fold(f64::NAN, f64::max);
    let mut bars = Vec::new();
    for (factor, row) in overload() {
        let Report { failed, refused, refused_without_delay, unsent, .. } = &row.report;
        let count = |what: &str, count: u64| Bar::at_most(format!("at {factor} times: {what}"), count as f64, 0.0);
        let share = row.report.goodput() / peak;
        bars.push(Bar::at_least(format!("at {factor} times: goodput, in peaks"), share, GOODPUT));
        // Without refusals nothing is known of their time.
        let refusal_ms = if refused.is_empty() { f64::NAN } else { row.report.refusal_ms(0.99) };
        bars.push(Bar::at_most(format!("at {factor} times: 99 % of refusals within, in ms"), refusal_ms, REFUSAL_MS));
        bars.push(count("refusals that do not say when to come back", *refused_without_delay));
        bars.push(count("other failures", failed.len()));
        bars.push(count("calls that the generator could not make", *unsent));
    }
    if let (Some((_, first)), Some((_, last))) = (offered.first(), offered.last())
        && !first.usage.resident_mib.is_nan()
    {
        let growth = last.usage.resident_mib - first.usage.resident_mib;
        bars.push(Bar::at_most("memory at the highest load less at the lowest, in MiB", growth, FLAT_MIB));
    }
    let ratio = beside.report.success_ms(0.99) / alone.report.success_ms(0.99);
    bars.push(Bar::at_most("p99 beside ten times one's load, in p99s alone", ratio, FAIR));
    let Report { refused, failed, .. } = &beside.report;
    bars.push(Bar::at_most("refusals and failures of the modest caller", (refused.len() + failed.len()) as f64, 0.0));
    bars
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use integration_tests::load::{even, open_loop};
    use tonic::Status;

    use super::*;

    /// So many successes in ten seconds, each after so many milliseconds, and refusals at once with nothing more said.
    async fn row(successes: u64, milliseconds: u64, refusals: u64, resident_mib: f64) -> Row {
        let duration = Duration::from_secs(10);
        let due = even((successes + refusals) as f64 / 10.0, duration);
        let report = open_loop(due, duration, move |index| async move {
            if index < successes {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                Ok(())
            } else {
                Err(Status::resource_exhausted("full"))
            }
        });
        let usage = Usage { resident_mib, system_cores: 2.0, own_cores: 0.1 };
        Row { what: String::new(), report: report.await, usage }
    }

    fn broken(bars: Vec<Bar>) -> Vec<String> {
        bars.into_iter().filter(|bar| !bar.holds()).map(|bar| bar.what).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_breaks_nothing_and_a_refusal_without_a_delay_is_seen() {
        let peaks = [row(80, 10, 0, 500.0).await, row(100, 10, 0, 500.0).await];
        let offered = [(0.5, row(50, 10, 0, 500.0).await), (2.0, row(95, 10, 100, 540.0).await)];
        let (alone, beside) = (row(30, 10, 0, 540.0).await, row(30, 19, 0, 540.0).await);
        let broken = broken(bars(&peaks, &offered, &alone, &beside));
        assert_eq!(broken, ["at 2 times: refusals that do not say when to come back"]);
    }

    #[tokio::test(start_paused = true)]
    async fn less_goodput_more_memory_and_longer_waits_each_break_their_bar() {
        let peaks = [row(100, 10, 0, 500.0).await];
        // The peak was underrated: at 2 times there is more, and at 10 times less than nine tenths of that.
        let offered = [
            (0.5, row(50, 10, 0, 500.0).await),
            (2.0, row(110, 10, 0, 500.0).await),
            (10.0, row(95, 10, 0, 560.0).await),
        ];
        let (alone, beside) = (row(30, 10, 0, 540.0).await, row(30, 21, 1, 540.0).await);
        let expected = [
            "at 2 times: 99 % of refusals within, in ms",
            "at 10 times: goodput, in peaks",
            "at 10 times: 99 % of refusals within, in ms",
            "memory at the highest load less at the lowest, in MiB",
            "p99 beside ten times one's load, in p99s alone",
            "refusals and failures of the modest caller",
        ];
        assert_eq!(broken(bars(&peaks, &offered, &alone, &beside)), expected);
    }
}
