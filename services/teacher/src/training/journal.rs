//! What a training remembers to tell: running loss and accuracy, and the thinned loss curve. Written
//! into checkpoints as text, so that a resumed training shows the same curve.

use std::time::Instant;

use domain::{Error, LossPoint, Progress, Result, TrainingPhase};

use super::schedule::Plan;

/// Sums over steps. Nothing here influences the weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal {
    /// Sum of losses in this epoch.
    epoch_loss: f64,
    /// Steps in this epoch.
    epoch_steps: u64,
    /// Right answers in this epoch.
    correct: u64,
    /// Images in this epoch.
    seen: u64,
    /// Sum of losses since the last point.
    point_loss: f64,
    /// Steps since the last point.
    point_steps: u64,
    curve: Vec<LossPoint>,
}

impl Journal {
    /// Notes a step that was done; `step` counts it.
    pub fn note(&mut self, plan: &Plan, step: u64, loss: f64, correct: u64) {
        if plan.place(step - 1).1 == 0 {
            (self.epoch_loss, self.epoch_steps, self.correct, self.seen) = (0.0, 0, 0, 0);
        }
        self.epoch_loss += loss;
        self.epoch_steps += 1;
        self.correct += correct;
        self.seen += plan.batch_size as u64;
        self.point_loss += loss;
        self.point_steps += 1;
        if step.is_multiple_of(plan.point_distance()) || step == plan.step_count() {
            self.curve.push(LossPoint { step, loss: self.point_loss / self.point_steps as f64 });
            (self.point_loss, self.point_steps) = (0.0, 0);
        }
    }

    /// A snapshot after `step` steps.
    pub fn progress(&self, plan: &Plan, step: u64, speed: &Speed) -> Progress {
        let ratio = |part: f64, whole: u64| if whole > 0 { part / whole as f64 } else { 0.0 };
        let images_per_second = speed.images_per_second(plan, step);
        let images_left = (plan.step_count() - step) as f64 * plan.batch_size as f64;
        Progress {
            phase: TrainingPhase::Training,
            epoch: plan.place(step).0 as u32,
            epoch_count: plan.epoch_count,
            step,
            step_count: plan.step_count(),
            loss: ratio(self.epoch_loss, self.epoch_steps),
            accuracy: ratio(self.correct as f64, self.seen),
            images_per_second,
            remaining_seconds: if images_per_second > 0.0 { images_left / images_per_second } else { 0.0 },
            loss_curve: self.curve.clone(),
        }
    }

    /// One line. Rust prints an f64 with as many digits as bring it back.
    pub fn to_text(&self) -> String {
        let Self { epoch_loss, epoch_steps, correct, seen, point_loss, point_steps, curve } = self;
        let mut text = format!("{epoch_loss} {epoch_steps} {correct} {seen} {point_loss} {point_steps}");
        for point in curve {
            text.push_str(&format!(" {}:{}", point.step, point.loss));
        }
        text
    }

    /// Reads [`Journal::to_text`].
    pub fn from_text(text: &str) -> Result<Self> {
        let broken = || Error::unexpected("a checkpoint's journal cannot be read");
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or_else(broken);
        let mut journal = Self {
            epoch_loss: next()?.parse().map_err(|_| broken())?,
            epoch_steps: next()?.parse().map_err(|_| broken())?,
            correct: next()?.parse().map_err(|_| broken())?,
            seen: next()?.parse().map_err(|_| broken())?,
            point_loss: next()?.parse().map_err(|_| broken())?,
            point_steps: next()?.parse().map_err(|_| broken())?,
            curve: Vec::new(),
        };
        for word in words {
            let (step, loss) = word.split_once(':').ok_or_else(broken)?;
            let point =
                LossPoint { step: step.parse().map_err(|_| broken())?, loss: loss.parse().map_err(|_| broken())? };
            journal.curve.push(point);
        }
        Ok(journal)
    }
}

/// The clock of a training, from where it started or resumed.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    started_at: Instant,
    first_step: u64,
}

impl Speed {
    /// Starts now, after `step` steps.
    pub fn since(step: u64) -> Self {
        Self { started_at: Instant::now(), first_step: step }
    }

    fn images_per_second(&self, plan: &Plan, step: u64) -> f64 {
        let images = (step - self.first_step) as f64 * plan.batch_size as f64;
        let seconds = self.started_at.elapsed().as_secs_f64();
        if seconds > 0.0 { images / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(steps: u64) -> (Plan, Journal) {
        let plan = Plan::new(1_000, 10, 12);
        let mut journal = Journal::default();
        (1..=steps).for_each(|step| journal.note(&plan, step, 1.0 / step as f64, 7));
        (plan, journal)
    }

    #[test]
    fn the_curve_has_at_most_500_points_and_each_is_a_mean() {
        let (plan, journal) = after(1_200);
        let progress = journal.progress(&plan, 1_200, &Speed::since(0));
        assert_eq!(progress.loss_curve.len(), 400);
        let third = (1.0 / 7.0 + 1.0 / 8.0 + 1.0 / 9.0) / 3.0;
        assert!((progress.loss_curve[2].loss - third).abs() < 1e-12);
        assert!((progress.accuracy - 0.7).abs() < 1e-12);
        assert_eq!((progress.epoch, progress.step_count), (12, 1_200));
    }

    #[test]
    fn loss_and_accuracy_begin_anew_with_each_epoch() {
        let (plan, journal) = after(102);
        let progress = journal.progress(&plan, 102, &Speed::since(0));
        assert!((progress.loss - (1.0 / 101.0 + 1.0 / 102.0) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_journal_survives_its_text_to_the_last_bit() {
        let journal = after(257).1;
        assert_eq!(Journal::from_text(&journal.to_text()), Ok(journal));
        assert!(Journal::from_text("1 2 x").is_err());
    }
}
