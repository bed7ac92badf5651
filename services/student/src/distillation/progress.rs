//! How far a distillation has come, and the one way to stop it.

use domain::Result;

/// A step that was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitProgress {
    /// Neighbors of this student.
    pub neighbor_count: usize,
    /// Iterations, epochs or closed-form solutions done, over all the fits that one student and its
    /// fidelity need.
    pub iteration: u32,
    /// The same to do. A solver that converges early jumps ahead.
    pub iteration_count: u32,
    /// Training loss in nats of the fit at work; 0 for ridge.
    pub loss: f64,
}

/// Counts steps and tells the observer, who stops the work by failing.
pub(crate) struct Steps<'a> {
    observe: &'a mut dyn FnMut(FitProgress) -> Result<()>,
    progress: FitProgress,
    steps_per_fit: u32,
    fit_end: u32,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(
        neighbor_count: usize,
        fit_count: u32,
        steps_per_fit: u32,
        observe: &'a mut dyn FnMut(FitProgress) -> Result<()>,
    ) -> Self {
        let progress =
            FitProgress { neighbor_count, iteration: 0, iteration_count: fit_count * steps_per_fit, loss: 0.0 };
        Self { observe, progress, steps_per_fit, fit_end: 0 }
    }

    /// Jumps over what the fit before did not need.
    pub(crate) fn begin_fit(&mut self) {
        self.progress.iteration = self.fit_end;
        self.fit_end = (self.fit_end + self.steps_per_fit).min(self.progress.iteration_count);
    }

    pub(crate) fn advance(&mut self, loss: f64) -> Result<()> {
        self.progress.iteration = (self.progress.iteration + 1).min(self.fit_end);
        self.progress.loss = if loss.is_finite() { loss } else { 0.0 };
        (self.observe)(self.progress)
    }
}
