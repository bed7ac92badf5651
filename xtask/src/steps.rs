//! A list of named steps with the wall time of each, for a summary at the end.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Runs steps one by one and remembers how each went.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration, bool)>,
}

impl Steps {
    /// Runs a step. A failure is told at once and remembered; the steps after it still run, so that one run
    /// shows all there is to repair.
    pub(crate) fn take(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = step();
        if let Err(error) = &outcome {
            println!("!! {name}: {error:#}");
        }
        self.done.push((name, start.elapsed(), outcome.is_ok()));
    }

    /// Runs a step that later ones cannot do without.
    pub(crate) fn need<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = step();
        self.done.push((name, start.elapsed(), outcome.is_ok()));
        outcome
    }

    /// Prints the steps so far with their times.
    pub(crate) fn summarize(&self) {
        println!();
        for (name, time, good) in &self.done {
            println!("{} {:>6.1} s  {name}", if *good { "ok    " } else { "FAILED" }, time.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, time, _)| *time).sum();
        println!("       {:>6.1} s  in all", total.as_secs_f64());
    }

    /// Fails if any step failed, and names those.
    pub(crate) fn verdict(&self) -> Result<()> {
        let failed: Vec<_> = self.done.iter().filter(|(_, _, good)| !good).map(|(name, _, _)| *name).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_whole_and_is_named() {
        let mut steps = Steps::default();
        steps.take("first", || bail!("no"));
        steps.take("second", || Ok(()));
        assert_eq!(steps.done.len(), 2);
        assert_eq!(steps.verdict().unwrap_err().to_string(), "failed: first");
    }
}
