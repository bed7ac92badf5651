//! Pages of images: appended, bounded, dropped when late, asked for again when failed.

use super::*;
use crate::state::testing;

fn key(gold: u32) -> GalleryKey {
    GalleryKey {
        teacher: testing::name("teachers/a", ResourceName::TEACHER),
        dataset: testing::name("datasets/mnist", ResourceName::DATASET),
        split: "train".to_owned(),
        gold: Some(Label(gold)),
        predicted: None,
        errors_only: true,
        order: ExampleOrder::Confidence,
    }
}

fn page(indices: std::ops::Range<u64>, next: &str) -> Result<ExamplePage, Error> {
    let examples = indices.map(|index| testing::example(index, 3, &[0.1, 0.9])).collect();
    Ok(ExamplePage { examples, next_page_token: next.to_owned(), total: 75 })
}

fn receive(gallery: &mut Gallery, result: Result<ExamplePage, Error>) {
    let request = gallery.pending().unwrap();
    gallery.receive(&request, result, &[]);
}

#[test]
fn pages_are_appended_until_there_are_no_more() {
    let mut gallery = Gallery::default();
    gallery.want(Some(key(3)));
    receive(&mut gallery, page(0..50, "next"));
    gallery.want_more();
    assert_eq!(gallery.pending().unwrap().page_token, "next");
    receive(&mut gallery, page(50..75, ""));
    gallery.want_more();
    assert_eq!((gallery.thumbnails().len(), gallery.total(), gallery.pending()), (75, 75, None));
}

#[test]
fn the_old_images_stay_until_the_first_page_of_the_new_ones() {
    let mut gallery = Gallery::default();
    gallery.want(Some(key(3)));
    receive(&mut gallery, page(0..50, "next"));
    gallery.want(Some(key(4)));
    assert!(gallery.is_stale() && gallery.is_loading() && !gallery.has_more());
    assert_eq!(gallery.thumbnails().len(), 50);
    receive(&mut gallery, page(100..103, ""));
    assert_eq!((gallery.thumbnails().len(), gallery.is_stale()), (3, false));
}

#[test]
fn a_late_page_of_an_earlier_selection_is_dropped() {
    let mut gallery = Gallery::default();
    gallery.want(Some(key(3)));
    let late = gallery.pending().unwrap();
    gallery.want(Some(key(4)));
    gallery.receive(&late, page(0..50, ""), &[]);
    assert!(gallery.is_loading() && gallery.thumbnails().is_empty());
}

#[test]
fn a_failed_page_is_asked_for_again_where_it_failed() {
    let mut gallery = Gallery::default();
    gallery.want(Some(key(3)));
    receive(&mut gallery, page(0..50, "next"));
    gallery.want_more();
    receive(&mut gallery, Err(Error::DeadlineExceeded));
    gallery.want_more();
    assert!(gallery.problem().is_some() && !gallery.is_loading());
    gallery.retry();
    assert_eq!(gallery.pending().unwrap().page_token, "next");
    receive(&mut gallery, page(50..75, ""));
    assert_eq!(gallery.thumbnails().len(), 75);
}

#[test]
fn a_gallery_is_bounded() {
    let mut gallery = Gallery::default();
    gallery.want(Some(key(3)));
    receive(&mut gallery, page(0..2_000, "next"));
    assert_eq!((gallery.thumbnails().len(), gallery.has_more()), (MAX_IMAGE_COUNT, false));
}
