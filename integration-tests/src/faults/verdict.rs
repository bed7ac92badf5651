//! What users may notice of faults, and whether they noticed more.

use std::time::{Duration, Instant};

use super::{Injury, Seen};
use crate::trust::Bar;

/// How long after a fault's end it may still be felt, in seconds.
const RECOVERY_SECONDS: f64 = 5.0;
/// What any one program may take: 2.5 GiB.
const MAX_RESIDENT_MIB: f64 = 2.5 * 1_024.0;

/// Of a whole soak.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Failures before the first fault: nothing excuses them.
    pub early_failure_count: usize,
    /// For each fault, from its end to the last failure before the next one; zero if there is none after it.
    pub tails: Vec<Duration>,
}

impl Verdict {
    /// Of failures at these moments. Each is laid to the last fault that had begun.
    pub fn of(injuries: &[Injury], failures: impl IntoIterator<Item = Instant>) -> Self {
        let mut verdict = Self { early_failure_count: 0, tails: vec![Duration::ZERO; injuries.len()] };
        for at in failures {
            match injuries.iter().rposition(|injury| injury.began <= at) {
                Some(index) => {
                    let tail = at.saturating_duration_since(injuries[index].ended);
                    verdict.tails[index] = verdict.tails[index].max(tail);
                }
                None => verdict.early_failure_count += 1,
            }
        }
        verdict
    }

    /// The longest that a fault was felt after its end; not a number without faults, which no bar accepts.
    pub fn longest_tail_seconds(&self) -> f64 {
        self.tails.iter().map(Duration::as_secs_f64).fold(f64::NAN, f64::max)
    }

    /// Everything that is promised.
    pub fn bars(&self, seen: &Seen, largest_mib: f64) -> Vec<Bar> {
        let none = |what: &str, count: u64| Bar::at_most(what, count as f64, 0.0);
        let untyped = seen.failures.iter().filter(|failed| !failed.is_typed).count() as u64;
        vec![
            none("calls that hung beyond their deadline", seen.hung_count),
            none("failures that do not say why", untyped + seen.untold_failure_count),
            none("failures before any fault", self.early_failure_count as u64),
            Bar::at_most("last failure after a fault's end, in seconds", self.longest_tail_seconds(), RECOVERY_SECONDS),
            none("explanations that were asked for and lost", seen.lost_count),
            none("other answers to the same question", seen.wrong_count),
            // A system that does nothing fails at nothing.
            Bar::at_least("explanations for each fault", seen.explained.len() as f64 / self.tails.len() as f64, 1.0),
            Bar::at_most("largest memory of one program, in MiB", largest_mib, MAX_RESIDENT_MIB),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Fault, Kind, Ledger},
        *,
    };

    fn injuries(start: Instant, spans: &[(u64, u64)]) -> Vec<Injury> {
        let at = |second| start + Duration::from_secs(second);
        let injury = |&(began, ended): &(u64, u64)| Injury {
            fault: Fault::Kill(Kind::Vae),
            victims: vec!["vae-1".to_owned()],
            began: at(began),
            ended: at(ended),
        };
        spans.iter().map(injury).collect()
    }

    #[test]
    fn a_failure_is_laid_to_the_last_fault_before_it() {
        let start = Instant::now();
        let failures = [1, 11, 12, 15, 31].map(|second| start + Duration::from_secs(second));
        let verdict = Verdict::of(&injuries(start, &[(10, 12), (20, 21), (30, 31)]), failures);
        assert_eq!(verdict.early_failure_count, 1);
        assert_eq!(verdict.tails, [3, 0, 0].map(Duration::from_secs));
        assert_eq!(verdict.longest_tail_seconds(), 3.0);
    }

    #[test]
    fn a_fault_that_is_felt_too_long_breaks_its_bar_and_no_other() {
        let (start, ledger) = (Instant::now(), Ledger::default());
        for _ in 0..2 {
            ledger.explained(Duration::from_secs(1));
        }
        let broken = |second| {
            let failures = [start + Duration::from_secs(second)];
            let bars = Verdict::of(&injuries(start, &[(10, 12), (40, 41)]), failures).bars(&ledger.seen(), 900.0);
            bars.into_iter().filter(|bar| !bar.holds()).map(|bar| bar.what).collect::<Vec<_>>()
        };
        assert_eq!(broken(17), [""; 0]);
        assert_eq!(broken(18), ["last failure after a fault's end, in seconds"]);
        assert_eq!(broken(9), ["failures before any fault"]);
    }

    #[test]
    fn without_faults_nothing_is_proved() {
        let bars = Verdict::of(&[], []).bars(&Ledger::default().seen(), 900.0);
        assert!(bars.iter().any(|bar| !bar.holds()));
    }
}
