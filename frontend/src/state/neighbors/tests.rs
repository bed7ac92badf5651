//! When which page of neighbors is asked for.

use super::*;
use crate::state::testing;

fn explanation(id: &str) -> ResourceName {
    testing::name(&format!("explanations/{id}"), ResourceName::EXPLANATION)
}

fn answer(set: &mut NeighborSet, indices: std::ops::Range<u64>, next: &str) {
    let page = set.pending().unwrap();
    set.receive(&page, Ok((indices.map(testing::neighbor).collect(), next.to_owned())));
}

#[test]
fn pages_come_as_the_labeling_goes_on_and_not_for_every_step() {
    let (mut set, x) = (NeighborSet::default(), explanation("x"));
    set.follow(&x, 64, false);
    answer(&mut set, 0..64, "");
    set.follow(&x, 80, false);
    assert_eq!(set.pending(), None);
    set.follow(&x, 128, false);
    answer(&mut set, 0..128, "");
    set.follow(&x, 130, true);
    answer(&mut set, 0..130, "");
    set.follow(&x, 130, true);
    assert_eq!((set.all().len(), set.pending()), (130, None));
}

#[test]
fn full_pages_are_kept_and_only_the_last_is_read_again() {
    let (mut set, x) = (NeighborSet::default(), explanation("x"));
    set.follow(&x, 800, false);
    answer(&mut set, 0..500, "second");
    set.follow(&x, 800, false);
    answer(&mut set, 500..800, "");
    set.follow(&x, 1_000, true);
    let page = set.pending().unwrap();
    assert_eq!((page.page_token.as_str(), page.start), ("second", 500));
    answer(&mut set, 500..1_000, "");
    assert_eq!((set.all().len(), set.all()[700].index), (1_000, 700));
}

#[test]
fn an_empty_answer_is_not_asked_for_over_and_over() {
    let (mut set, x) = (NeighborSet::default(), explanation("x"));
    set.follow(&x, 64, false);
    answer(&mut set, 0..0, "");
    set.follow(&x, 64, false);
    assert_eq!(set.pending(), None);
    set.follow(&x, 128, false);
    assert!(set.pending().is_some());
}

#[test]
fn old_neighbors_stay_until_the_new_ones_are_there() {
    let (mut set, x, y) = (NeighborSet::default(), explanation("x"), explanation("y"));
    set.follow(&x, 64, true);
    answer(&mut set, 0..64, "");
    set.follow(&y, 10, false);
    assert_eq!((set.all().len(), set.of()), (64, Some(&x)));
    answer(&mut set, 0..10, "");
    assert_eq!((set.all().len(), set.of()), (10, Some(&y)));
}

#[test]
fn a_failed_page_waits_for_a_retry() {
    let (mut set, x) = (NeighborSet::default(), explanation("x"));
    set.follow(&x, 64, true);
    let page = set.pending().unwrap();
    set.receive(&page, Err(Error::DeadlineExceeded));
    set.follow(&x, 64, true);
    assert!(set.pending().is_none() && set.problem().is_some());
    set.retry();
    set.follow(&x, 64, true);
    assert!(set.pending().is_some() && set.problem().is_none());
}
