//! How far a training or an evaluation has come.

/// What a model is being put through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingPhase {
    /// Waiting for another training to end.
    Queued,
    /// Fitting weights.
    Training,
    /// Answering every image of the evaluation split.
    Evaluating,
    /// All done.
    Finished,
}

/// One point of a loss curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPoint {
    /// Optimizer steps so far.
    pub step: u64,
    /// Mean loss since the point before: cross-entropy in nats for a teacher, negative ELBO in nats
    /// an image for an autoencoder.
    pub loss: f64,
}

/// A snapshot of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What is going on.
    pub phase: TrainingPhase,
    /// Epochs completed.
    pub epoch: u32,
    /// Epochs to do.
    pub epoch_count: u32,
    /// Steps completed in all (images, while evaluating).
    pub step: u64,
    /// Steps to do in all (images, while evaluating).
    pub step_count: u64,
    /// Running mean loss; NaN-free: 0 before the first step.
    pub loss: f64,
    /// Share of right answers in `[0, 1]` on what has been seen in this epoch or evaluation; 0 for an
    /// autoencoder.
    pub accuracy: f64,
    /// Speed.
    pub images_per_second: f64,
    /// Estimate of what is left of this phase; 0 when unknown.
    pub remaining_seconds: f64,
    /// At most 500 points, oldest first.
    pub loss_curve: Vec<LossPoint>,
}

impl Progress {
    /// Of a training that has not begun.
    pub fn queued(epoch_count: u32) -> Self {
        Self {
            phase: TrainingPhase::Queued,
            epoch: 0,
            epoch_count,
            step: 0,
            step_count: 0,
            loss: 0.0,
            accuracy: 0.0,
            images_per_second: 0.0,
            remaining_seconds: 0.0,
            loss_curve: Vec::new(),
        }
    }
}

/// Gathers the loss of every step into at most [`LossCurve::MAX_POINT_COUNT`] points: when they run out,
/// neighbors are merged and each later point stands for twice as many steps.
#[derive(Debug, Clone, PartialEq)]
pub struct LossCurve {
    points: Vec<LossPoint>,
    steps_per_point: u64,
    sum: f64,
    count: u64,
}

impl Default for LossCurve {
    fn default() -> Self {
        Self { points: Vec::new(), steps_per_point: 1, sum: 0.0, count: 0 }
    }
}

impl LossCurve {
    /// Most points a curve has.
    pub const MAX_POINT_COUNT: usize = 500;

    /// Goes on from the points of an earlier part of the same training.
    pub fn resume(points: Vec<LossPoint>) -> Self {
        let spacing = points.windows(2).map(|pair| pair[1].step.saturating_sub(pair[0].step)).max();
        let mut curve = Self { points, steps_per_point: spacing.unwrap_or(1).max(1), sum: 0.0, count: 0 };
        curve.thin();
        curve
    }

    /// Notes the loss of step number `step`, counted from 1.
    pub fn record(&mut self, step: u64, loss: f64) {
        self.sum += loss;
        self.count += 1;
        if self.count >= self.steps_per_point {
            self.points.push(LossPoint { step, loss: self.sum / self.count as f64 });
            (self.sum, self.count) = (0.0, 0);
            self.thin();
        }
    }

    /// Mean losses, oldest first.
    pub fn points(&self) -> &[LossPoint] {
        &self.points
    }

    fn thin(&mut self) {
        while self.points.len() > Self::MAX_POINT_COUNT {
            let merge = |pair: &[LossPoint]| match pair {
                [first, second] => LossPoint { step: second.step, loss: (first.loss + second.loss) / 2.0 },
                rest => rest[0],
            };
            self.points = self.points.chunks(2).map(merge).collect();
            self.steps_per_point *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_training_has_few_points_that_keep_its_mean() {
        let mut curve = LossCurve::default();
        for step in 1..=64_000 {
            curve.record(step, step as f64);
        }
        let points = curve.points();
        assert!(points.len() <= LossCurve::MAX_POINT_COUNT && points.len() >= 250, "{}", points.len());
        assert!(points.windows(2).all(|pair| pair[0].step < pair[1].step && pair[0].loss < pair[1].loss));
        assert!(points.last().unwrap().step > 63_700);
        let resumed = LossCurve::resume(points.to_vec());
        assert_eq!((resumed.points(), resumed.steps_per_point), (points, curve.steps_per_point));
    }
}
