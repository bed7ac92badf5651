//! The order of faults: round after round of all of them, each round shuffled anew from one seed.

use super::Fault;
use crate::known::Numbers;

/// Faults without end, and with each a number in `[0, 1)` that chooses whom it meets.
#[derive(Debug, Clone)]
pub struct Schedule {
    faults: Vec<Fault>,
    numbers: Numbers,
    /// What is left of this round.
    round: Vec<Fault>,
}

impl Schedule {
    /// Of these faults; none if there are none.
    pub fn new(faults: Vec<Fault>, seed: u64) -> Self {
        Self { faults, numbers: Numbers::new(seed), round: Vec::new() }
    }
}

impl Iterator for Schedule {
    type Item = (Fault, f64);

    fn next(&mut self) -> Option<Self::Item> {
        if self.round.is_empty() {
            self.round = self.faults.clone();
            // Fisher and Yates.
            for last in (1..self.round.len()).rev() {
                self.round.swap(last, (self.numbers.unit() * (last + 1) as f64) as usize);
            }
        }
        Some((self.round.pop()?, self.numbers.unit()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Kind, *};

    fn rounds(seed: u64, count: usize) -> Vec<Vec<(Fault, f64)>> {
        let faults = Fault::all(&Kind::ALL);
        let all: Vec<_> = Schedule::new(faults.clone(), seed).take(count * faults.len()).collect();
        all.chunks(faults.len()).map(<[_]>::to_vec).collect()
    }

    #[test]
    fn every_round_has_every_fault_once() {
        let faults = Fault::all(&Kind::ALL);
        assert_eq!(faults.len(), 14);
        for round in rounds(3, 5) {
            assert!(faults.iter().all(|fault| round.iter().filter(|(each, _)| each == fault).count() == 1));
            assert!(round.iter().all(|(_, choice)| (0.0..1.0).contains(choice)));
        }
    }

    #[test]
    fn a_seed_fixes_the_order_and_rounds_differ() {
        assert_eq!(rounds(3, 2), rounds(3, 2));
        assert_ne!(rounds(3, 1), rounds(4, 1));
        let order = |round: &[(Fault, f64)]| round.iter().map(|(fault, _)| *fault).collect::<Vec<_>>();
        let two = rounds(3, 2);
        assert_ne!(order(&two[0]), order(&two[1]));
    }

    #[test]
    fn without_a_cache_nothing_happens_to_it() {
        let faults = Fault::all(&[Kind::Teacher]);
        assert_eq!(faults, [Fault::Kill(Kind::Teacher), Fault::Pause(Kind::Teacher)]);
        assert!(Schedule::new(Vec::new(), 1).next().is_none());
    }
}
