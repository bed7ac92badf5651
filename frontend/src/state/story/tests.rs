//! What is shown of an explanation while another one is on its way.

use super::*;
use crate::state::testing::{explanation, explanation_request};

fn with_student(request: &ExplanationRequest, l2: f64) -> Explanation {
    let student = crate::state::testing::student(l2);
    Explanation { student: Some(student), ..explanation(request, 1_000, ExplanationState::Succeeded) }
}

fn other_request() -> ExplanationRequest {
    let mut request = explanation_request();
    request.neighborhood.radius = 1.0;
    request
}

#[test]
fn the_old_student_stays_until_the_new_one_is_there_and_is_known_as_old() {
    let (first, second) = (explanation_request(), other_request());
    let mut story = Story::default();
    story.begin(first.clone());
    story.receive(&first, with_student(&first, 0.1));
    assert!(!story.student_is_stale());
    story.begin(second.clone());
    story.receive(&second, explanation(&second, 0, ExplanationState::Running));
    assert_eq!(story.shown_student().unwrap().spec.l2, 0.1);
    assert!(story.student_is_stale() && story.is_running());
    story.receive(&second, with_student(&second, 0.2));
    assert_eq!(story.shown_student().unwrap().spec.l2, 0.2);
    assert!(!story.student_is_stale());
}

#[test]
fn an_unchanged_student_is_not_drawn_again() {
    let request = explanation_request();
    let mut story = Story::default();
    story.begin(request.clone());
    story.receive(&request, with_student(&request, 0.1));
    let drawn = story.shown_student();
    story.receive(&request, with_student(&request, 0.1));
    assert_eq!(story.shown_student(), drawn, "the same allocation");
}

#[test]
fn a_snapshot_of_an_earlier_request_is_dropped() {
    let (first, second) = (explanation_request(), other_request());
    let mut story = Story::default();
    story.begin(first.clone());
    story.begin(second);
    story.receive(&first, explanation(&first, 1_000, ExplanationState::Succeeded));
    story.fail(&first, &Error::DeadlineExceeded);
    assert!(story.is_running() && story.current().is_none() && story.problem().is_none());
}

#[test]
fn a_failure_is_told_and_the_button_tries_again() {
    let request = explanation_request();
    let mut story = Story::default();
    story.begin(request.clone());
    let first_run = story.pending();
    let failed = ExplanationState::Failed(Error::DeadlineExceeded);
    story.receive(&request, explanation(&request, 64, failed));
    assert!(!story.is_running() && story.problem().is_some() && story.pending().is_none());
    story.begin(request);
    assert!(story.is_running() && story.problem().is_none());
    assert_ne!(story.pending(), first_run);
}

#[test]
fn what_nobody_waits_for_any_more_is_given_up() {
    let request = explanation_request();
    let mut story = Story::default();
    story.begin(request.clone());
    story.receive(&request, explanation(&request, 64, ExplanationState::Running));
    story.begin(other_request());
    assert_eq!(story.superseded().unwrap().id(), explanation_request().id());
    story.receive(&other_request(), explanation(&other_request(), 64, ExplanationState::Succeeded));
    story.begin(request);
    assert_eq!(story.superseded(), None, "it had ended by itself");
}

#[test]
fn only_a_finished_explanation_can_be_distilled_again() {
    let request = explanation_request();
    let mut story = Story::default();
    story.begin(request.clone());
    story.receive(&request, explanation(&request, 64, ExplanationState::Running));
    assert_eq!(story.finished(), None);
    story.receive(&request, explanation(&request, 1_000, ExplanationState::Succeeded));
    assert!(story.finished().is_some());
}
