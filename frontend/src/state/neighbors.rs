//! The neighbors fetched so far. Pages follow the labeling; the last page is read again as it grows.

use std::rc::Rc;

use domain::{Error, Neighbor, ResourceName};

use crate::components::{problem::Problem, shared::Shared};

/// Neighbors a page; with pixels about 500 KB.
pub const PAGE_SIZE: i32 = 500;

/// A page to fetch.
#[derive(Debug, Clone, PartialEq)]
pub struct NeighborPage {
    /// `explanations/{x}`.
    pub explanation: ResourceName,
    /// Where it begins; empty for the first.
    pub page_token: String,
    /// Position of its first neighbor.
    pub start: usize,
    /// Neighbors labeled when it was asked for.
    pub labeled: usize,
    /// Whether the explanation was done then.
    pub done: bool,
    /// Changes with every retry.
    pub attempt: u32,
}

/// Neighbors of one explanation; an earlier one's stay until the first page of a new one is there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NeighborSet {
    of: Option<ResourceName>,
    neighbors: Shared<Vec<Neighbor>>,
    page_token: String,
    page_start: usize,
    request: Option<NeighborPage>,
    asked: Option<NeighborPage>,
    attempt: u32,
    problem: Option<Rc<Problem>>,
}

impl NeighborSet {
    /// Follows an explanation: asks for a page when a first one can be had, when half as many again have
    /// been labeled, and at the end.
    pub fn follow(&mut self, explanation: &ResourceName, labeled: usize, done: bool) {
        let is_same = self.of.as_ref() == Some(explanation);
        if self.request.as_ref().is_some_and(|request| request.explanation != *explanation) {
            self.request = None;
        }
        let fetched = if is_same { self.neighbors.len() } else { 0 };
        let worth_it = labeled > fetched && (fetched == 0 || done || 2 * labeled >= 3 * fetched);
        if self.request.is_some() || !worth_it {
            return;
        }
        let page = NeighborPage {
            explanation: explanation.clone(),
            page_token: if is_same { self.page_token.clone() } else { String::new() },
            start: if is_same { self.page_start } else { 0 },
            labeled,
            done,
            attempt: self.attempt,
        };
        // The same page at the same moment was answered already, or failed: asking again is up to a retry.
        if self.asked.as_ref() != Some(&page) {
            self.asked = Some(page.clone());
            self.request = Some(page);
        }
    }

    /// Takes a page in; one that was not asked for is dropped.
    pub fn receive(&mut self, page: &NeighborPage, result: Result<(Vec<Neighbor>, String), Error>) {
        if self.request.as_ref() != Some(page) {
            return;
        }
        self.request = None;
        let (received, next_page_token) = match result {
            Ok(answer) => answer,
            Err(error) => {
                self.problem = Some(Rc::new(Problem::from_error(&error)));
                return;
            }
        };
        self.problem = None;
        if received.is_empty() && page.start == 0 {
            return;
        }
        let mut neighbors = match page.start {
            0 => Vec::with_capacity(received.len()),
            start => self.neighbors[..start.min(self.neighbors.len())].to_vec(),
        };
        neighbors.extend(received);
        if !next_page_token.is_empty() {
            self.page_start = neighbors.len();
            self.page_token = next_page_token;
        } else if page.start == 0 {
            self.page_start = 0;
            self.page_token = String::new();
        }
        self.of = Some(page.explanation.clone());
        self.neighbors = Shared::new(neighbors);
    }

    /// Lets the page that failed be asked for again.
    pub fn retry(&mut self) {
        if self.problem.take().is_some() {
            self.attempt += 1;
        }
    }

    /// The page to fetch now: the dependency of the effect that fetches it.
    pub fn pending(&self) -> Option<NeighborPage> {
        self.request.clone()
    }

    /// In index order.
    pub fn all(&self) -> Shared<Vec<Neighbor>> {
        self.neighbors.clone()
    }

    /// Whose neighbors they are.
    pub fn of(&self) -> Option<&ResourceName> {
        self.of.as_ref()
    }

    /// Why the latest page is missing.
    pub fn problem(&self) -> Option<Rc<Problem>> {
        self.problem.clone()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self { attempt: self.attempt, ..Self::default() };
    }
}

#[cfg(test)]
mod tests;
