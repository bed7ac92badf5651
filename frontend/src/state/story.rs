//! The explanation that is asked for, as far as it has come, and what is shown meanwhile.

use std::rc::Rc;

use domain::{Error, Explanation, ExplanationState, ResourceName, Student};

use super::{
    keys::{ExplanationRequest, StudentRequest},
    neighbors::NeighborSet,
    remote::Remote,
};
use crate::components::{problem::Problem, shared::Shared};

/// How far the fit of another student is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Iterations or epochs done.
    pub iteration: u32,
    /// Iterations or epochs to do.
    pub iteration_count: u32,
}

/// What to compute and watch: the dependency of the effect that does it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoryRun {
    /// What is asked for.
    pub request: Rc<ExplanationRequest>,
    /// Changes each time the button is pressed.
    pub attempt: u32,
}

/// The explanation of the chosen image and everything made from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Story {
    request: Option<Rc<ExplanationRequest>>,
    attempt: u32,
    is_running: bool,
    problem: Option<Rc<Problem>>,
    /// The newest snapshot that answers `request`.
    current: Option<Shared<Explanation>>,
    /// The best student so far; an earlier request's until the current one has its first.
    best: Option<Shared<Student>>,
    /// The explanation that `best` belongs to.
    best_of: Option<ResourceName>,
    /// Neighbors of the current explanation, or still of the previous one.
    pub neighbors: NeighborSet,
    /// Another student for the same neighbors.
    pub student: Remote<StudentRequest, Shared<Student>>,
    fit: Option<Fit>,
    /// The explanation that was replaced while it ran.
    superseded: Option<ResourceName>,
}

impl Story {
    /// Asks for an explanation, again if it is the same.
    pub fn begin(&mut self, request: ExplanationRequest) {
        if self.request.as_deref() != Some(&request)
            && let Some(current) = self.current.take()
        {
            self.superseded = self.is_running.then(|| current.name.clone());
        }
        if let Some(again) = self.student.latest() {
            self.best = Some(again.clone());
        }
        self.request = Some(Rc::new(request));
        self.attempt += 1;
        self.is_running = true;
        self.problem = None;
        self.student.want(None);
        self.fit = None;
        self.neighbors.retry();
    }

    /// Forgets everything: nothing is chosen any more.
    pub fn clear(&mut self) {
        let running = self.current.as_ref().filter(|_| self.is_running).map(|current| current.name.clone());
        let (attempt, mut neighbors) = (self.attempt, std::mem::take(&mut self.neighbors));
        neighbors.clear();
        *self = Self { attempt, neighbors, superseded: running, ..Self::default() };
    }

    /// Takes a snapshot in; one that answers another request is dropped.
    pub fn receive(&mut self, request: &ExplanationRequest, explanation: Explanation) {
        if self.request.as_deref() != Some(request) {
            return;
        }
        self.is_running = !explanation.is_done();
        self.problem = match &explanation.state {
            ExplanationState::Failed(error) => Some(Rc::new(Problem::from_error(error))),
            ExplanationState::Cancelled => Some(Rc::new(Problem::from_error(&Error::Cancelled))),
            _ => None,
        };
        if let Some(student) = &explanation.student {
            self.best_of = Some(explanation.name.clone());
            if self.best.as_deref() != Some(student) {
                self.best = Some(Shared::new(student.clone()));
            }
        }
        self.current = Some(Shared::new(explanation));
        self.follow_neighbors();
    }

    /// The request could not be made or watched.
    pub fn fail(&mut self, request: &ExplanationRequest, error: &Error) {
        if self.request.as_deref() == Some(request) {
            self.is_running = false;
            self.problem = Some(Rc::new(Problem::from_error(error)));
        }
    }

    /// Asks for the next page of neighbors when it is time.
    pub fn follow_neighbors(&mut self) {
        if let Some(current) = &self.current {
            self.neighbors.follow(&current.name, current.labeled_neighbor_count, current.is_done());
        }
    }

    /// Notes how far another student is.
    pub fn progress(&mut self, request: &StudentRequest, fit: Fit) {
        if self.student.wanted() == Some(request) && self.student.is_loading() {
            self.fit = Some(fit);
        }
    }

    /// What to compute and watch now.
    pub fn pending(&self) -> Option<StoryRun> {
        let request = self.request.clone().filter(|_| self.is_running)?;
        Some(StoryRun { request, attempt: self.attempt })
    }

    /// The explanation nobody waits for any more, to be deleted: the models have better things to do.
    pub fn superseded(&self) -> Option<ResourceName> {
        self.superseded.clone()
    }

    /// What was asked for last.
    pub fn request(&self) -> Option<&ExplanationRequest> {
        self.request.as_deref()
    }

    /// The newest snapshot of what was asked for.
    pub fn current(&self) -> Option<&Shared<Explanation>> {
        self.current.as_ref()
    }

    /// The explanation whose neighbors another student can be fitted to.
    pub fn finished(&self) -> Option<&ResourceName> {
        let current = self.current.as_deref()?;
        (current.state == ExplanationState::Succeeded).then_some(&current.name)
    }

    /// The student to show: the one that was distilled again, else the explanation's best so far, else
    /// the one before.
    pub fn shown_student(&self) -> Option<Shared<Student>> {
        self.student.latest().or(self.best.as_ref()).cloned()
    }

    /// Whether the student that is shown answers something else than what was asked last.
    pub fn student_is_stale(&self) -> bool {
        let of_current = self.current.as_ref().is_some_and(|current| self.best_of.as_ref() == Some(&current.name));
        self.best.is_some() && (!of_current || self.student.is_loading())
    }

    /// Whether the neighbors belong to an earlier request.
    pub fn neighbors_are_stale(&self) -> bool {
        self.neighbors.of() != self.current.as_ref().map(|current| &current.name)
    }

    /// How far the student that is being fitted is.
    pub fn fit(&self) -> Option<Fit> {
        self.fit.filter(|_| self.student.is_loading())
    }

    /// Whether neighbors are being made or a student is being sharpened.
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// Why there is no explanation, or no neighbors of it.
    pub fn problem(&self) -> Option<Rc<Problem>> {
        self.problem.clone().or_else(|| self.neighbors.problem())
    }
}

#[cfg(test)]
mod tests;
