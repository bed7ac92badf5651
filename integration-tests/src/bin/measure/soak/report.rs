//! The table of a soak while it goes on, and its bars.

use std::time::{Duration, Instant};

use integration_tests::trust::Bar;

use super::{
    super::{
        numbers::{mean, median, percentile, sorted},
        process::Sample,
    },
    clients::Action,
    tally::Counts,
};

/// What one whole standalone process may take while it explains: 2.5 GiB.
const MAX_RESIDENT_MIB: f64 = 2.5 * 1_024.0;
/// Growth that is no leak: one twentieth, or this if it is more.
const MAX_GROWTH_MIB: f64 = 50.0;

/// The table's columns.
pub(super) fn head() {
    println!(
        "{:>7} {:>9} {:>8} {:>9} {:>6} {:>8} {:>6} {:>6} {:>7} {:>6} {:>10} {:>12} {:>7} {:>5}",
        "minute",
        "explained",
        "repeated",
        "cancelled",
        "left",
        "students",
        "slides",
        "looks",
        "refused",
        "failed",
        "ms (50 %)",
        "resident MiB",
        "threads",
        "files"
    );
}

/// What was done so far; the time of an explanation since the line before.
pub(super) fn line(elapsed: Duration, counts: &Counts, recent: f64, sample: &Sample) {
    println!(
        "{:>7.1} {:>9} {:>8} {:>9} {:>6} {:>8} {:>6} {:>6} {:>7} {:>6} {recent:>10.0} {:>12.1} {:>7} {:>5}",
        elapsed.as_secs_f64() / 60.0,
        counts.done(Action::Explain),
        counts.done(Action::Repeat),
        counts.done(Action::Cancel),
        counts.done(Action::Leave),
        counts.done(Action::Distill),
        counts.done(Action::Slide),
        counts.done(Action::Look),
        counts.refused,
        counts.failed,
        sample.resident_mib,
        sample.thread_count,
        sample.open_file_count,
    );
}

/// What is held when all have gone, and how long explanations took.
pub(super) fn ending(before: &Sample, after: &Sample, counts: &Counts) {
    let line = |when: &str, sample: &Sample| {
        let Sample { resident_mib, thread_count, open_file_count, .. } = sample;
        println!(
            "at rest {when}: {resident_mib:.1} MiB resident, {thread_count} threads, {open_file_count} open files"
        );
    };
    println!();
    line("before", before);
    line("after", after);
    let times = sorted(counts.explained.iter().map(|(_, ms)| *ms));
    let [half, most, nearly_all] = [0.5, 0.95, 0.99].map(|share| percentile(&times, share));
    println!("explanations in ms: half within {half:.0}, 95 % within {most:.0}, 99 % within {nearly_all:.0}");
}

/// Of what the clients saw in so many minutes since `began`.
pub(super) fn of_counts(counts: &Counts, failed_before: u64, began: Instant, minutes: f64) -> Vec<Bar> {
    // The first third of the time and the last.
    let third = Duration::from_secs_f64(minutes * 60.0 / 3.0);
    let within = |from: Duration, to: Duration| {
        let times = counts.explained.iter().filter(move |(at, _)| (from..to).contains(&at.duration_since(began)));
        median(times.map(|(_, ms)| *ms))
    };
    let slowdown = within(2 * third, 4 * third) / within(Duration::ZERO, third);
    let cancelled = sorted(counts.cancelled.iter().copied());
    vec![
        Bar::at_most("failures", (counts.failed + failed_before) as f64, 0.0),
        Bar::at_most("median time of an explanation, last third to first", slowdown, 1.15),
        Bar::at_most("95 % of cancellations are through within, in ms", percentile(&cancelled, 0.95), 250.0),
    ]
}

/// Of what the processes held: at rest before and after, and in use.
pub(super) fn of_process(before: &Sample, after: &Sample, samples: &[Sample], process_count: usize) -> Vec<Bar> {
    let memory = |samples: &[Sample]| mean(samples.iter().map(|sample| sample.resident_mib));
    let third = samples.len() / 3;
    let (early, late) = (memory(&samples[..third]), memory(&samples[samples.len() - third..]));
    let largest = samples.iter().map(|sample| sample.resident_mib).fold(f64::NAN, f64::max);
    let allowed = |from: f64| (from / 20.0).max(MAX_GROWTH_MIB);
    vec![
        Bar::at_most("largest resident memory, in MiB", largest, MAX_RESIDENT_MIB * process_count as f64),
        Bar::at_most("resident in use, last third less first, in MiB", late - early, allowed(early)),
        Bar::at_most(
            "resident at rest, after less before, in MiB",
            after.resident_mib - before.resident_mib,
            allowed(before.resident_mib),
        ),
        // Pools may have one more or less; a leak of one in a thousand actions shows.
        Bar::at_most("threads at rest, after less before", after.thread_count - before.thread_count, 2.0),
        Bar::at_most("open files at rest, after less before", after.open_file_count - before.open_file_count, 4.0),
    ]
}
