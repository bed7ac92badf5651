//! The image under a dragged handle: one decoding in flight, and the latest point wins.

use std::rc::Rc;

use domain::{Error, Image, SoftLabels};

use crate::{components::problem::Problem, views::latent::LiveDecode};

/// What became of the points that were dragged to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Live {
    target: Option<Vec<f32>>,
    in_flight: Option<Vec<f32>>,
    decoded: Option<Rc<LiveDecode>>,
    problem: Option<Rc<Problem>>,
}

impl Live {
    /// A handle moved. While a point is being decoded, only the latest of the others is remembered.
    pub fn drag(&mut self, point: Vec<f32>) {
        self.problem = None;
        if self.in_flight.is_none() {
            self.in_flight = Some(point.clone());
        }
        self.target = Some(point);
    }

    /// Takes the image of a point in and goes on to the latest one, if the handle has moved on.
    pub fn receive(&mut self, point: &[f32], result: Result<(Image, SoftLabels), Error>) {
        if self.in_flight.as_deref() != Some(point) {
            return;
        }
        self.in_flight = None;
        match result {
            Ok((image, soft_labels)) => {
                let live = LiveDecode { latent: point.to_vec(), image, soft_labels: Some(soft_labels) };
                self.decoded = Some(Rc::new(live));
            }
            Err(error) => self.problem = Some(Rc::new(Problem::from_error(&error))),
        }
        if self.target.as_deref() != Some(point) && self.problem.is_none() {
            self.in_flight.clone_from(&self.target);
        }
    }

    /// Back to the image itself.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The point to decode now: the dependency of the effect that does it.
    pub fn pending(&self) -> Option<Vec<f32>> {
        self.in_flight.clone()
    }

    /// The latest image that came.
    pub fn decoded(&self) -> Option<Rc<LiveDecode>> {
        self.decoded.clone()
    }

    /// Why there is none.
    pub fn problem(&self) -> Option<Rc<Problem>> {
        self.problem.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing;

    fn answer() -> Result<(Image, SoftLabels), Error> {
        let example = testing::example(0, 0, &[1.0]);
        Ok((example.image, example.soft_labels.unwrap()))
    }

    #[test]
    fn one_point_is_in_flight_and_the_latest_wins() {
        let mut live = Live::default();
        for point in [1.0, 2.0, 3.0] {
            live.drag(vec![point]);
        }
        assert_eq!(live.pending(), Some(vec![1.0]));
        live.receive(&[1.0], answer());
        assert_eq!(live.pending(), Some(vec![3.0]), "2 was passed over");
        live.receive(&[3.0], answer());
        assert_eq!(live.pending(), None);
        assert_eq!(live.decoded().unwrap().latent, vec![3.0]);
    }

    #[test]
    fn an_answer_after_the_reset_is_dropped() {
        let mut live = Live::default();
        live.drag(vec![1.0]);
        live.clear();
        live.receive(&[1.0], answer());
        assert_eq!(live, Live::default());
    }

    #[test]
    fn a_failure_stops_until_the_handle_moves_again() {
        let mut live = Live::default();
        live.drag(vec![1.0]);
        live.drag(vec![2.0]);
        live.receive(&[1.0], Err(Error::DeadlineExceeded));
        assert!(live.pending().is_none() && live.problem().is_some());
        live.drag(vec![4.0]);
        assert!(live.pending().is_some() && live.problem().is_none());
    }
}
