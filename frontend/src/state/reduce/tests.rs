//! The story of a person at the page, told to `reduce`.

use domain::{ConfusionMatrix, Error, Explanation, ExplanationState, Label, ModelState, NeighborhoodSpec};

use super::*;
use crate::{
    route::Route,
    state::{
        CatalogUpdate,
        gallery::ExamplePage,
        testing::{autoencoder, dataset, example, explanation, teacher},
    },
};

fn after(state: AppState, actions: impl IntoIterator<Item = Action>) -> AppState {
    actions.into_iter().fold(state, reduce)
}

fn models(teacher_state: ModelState, autoencoder_state: ModelState) -> [Action; 3] {
    [
        Action::CatalogChanged(CatalogUpdate::Dataset(dataset())),
        Action::CatalogChanged(CatalogUpdate::Teacher(teacher("a", teacher_state))),
        Action::CatalogChanged(CatalogUpdate::Autoencoder(autoencoder("v", autoencoder_state))),
    ]
}

fn ready() -> AppState {
    after(AppState::at(&Route::default()), models(ModelState::Ready, ModelState::Ready))
}

fn cell(gold: u32, predicted: u32) -> Action {
    Action::Selected(MatrixSelection::Cell { gold: Label(gold), predicted: Label(predicted) })
}

fn with_images(state: AppState) -> AppState {
    let request = state.gallery.pending().unwrap();
    let examples = vec![example(7, 0, &[0.1, 0.9]), example(8, 0, &[0.2, 0.8])];
    after(
        state,
        [Action::PageReceived(request, Ok(ExamplePage { examples, next_page_token: String::new(), total: 2 }))],
    )
}

fn explained(state: AppState, labeled: usize, outcome: ExplanationState) -> AppState {
    let request = state.story.pending().unwrap().request;
    let snapshot: Explanation = explanation(&request, labeled, outcome);
    after(state, [Action::ExplanationReceived(request, Box::new(snapshot))])
}

#[test]
fn nothing_is_asked_before_the_teacher_has_been_evaluated() {
    let state = after(AppState::at(&Route::default()), models(ModelState::Training, ModelState::Training));
    assert!(state.matrix.pending().is_none() && state.gallery.pending().is_none());
    let state = after(state, models(ModelState::Ready, ModelState::Training));
    assert!(state.matrix.pending().is_some());
    let key = state.gallery.pending().unwrap().key;
    assert!(key.errors_only && key.gold.is_none(), "a newcomer sees all errors");
}

#[test]
fn a_cell_asks_for_its_images_and_a_correct_cell_too() {
    let state = after(ready(), [cell(1, 1)]);
    let key = state.gallery.pending().unwrap().key;
    assert_eq!((key.gold, key.predicted, key.errors_only), (Some(Label(1)), Some(Label(1)), false));
}

#[test]
fn an_image_of_the_gallery_is_shown_at_once_and_explained_by_itself() {
    let state = with_images(after(ready(), [cell(0, 1)]));
    let state = after(state, [Action::ExampleChosen("train-7".to_owned())]);
    let chosen = state.chosen().unwrap();
    assert_eq!((chosen.title.as_str(), chosen.gold_label), ("Image 7", Some(Label(0))));
    assert!(state.example.pending().is_none(), "its pixels are in the gallery");
    assert!(state.encoding.pending().is_some() && state.attribution.pending().is_some());
    assert_eq!(state.story.pending().unwrap().request.neighborhood, NeighborhoodSpec::default());
}

#[test]
fn an_address_waits_for_the_models_and_then_explains_its_image() {
    let route = Route::parse("?image=train-7&cell=0:1&radius=0.7");
    let state = after(AppState::at(&route), models(ModelState::Ready, ModelState::Training));
    assert!(state.example.pending().is_some() && state.story.pending().is_none());
    assert!(state.blocked().unwrap().contains("autoencoder is still training"));
    let state = after(state, models(ModelState::Ready, ModelState::Ready));
    assert_eq!(state.story.pending().unwrap().request.neighborhood.radius, 0.7);
    assert_eq!(state.route(), route);
}

#[test]
fn boxes_wait_for_the_button() {
    let state = after(ready(), [Action::ExampleChosen("train-7".to_owned())]);
    let state = explained(state, 1_000, ExplanationState::Succeeded);
    let wider = NeighborhoodSpec { radius: 1.0, ..Default::default() };
    let state = after(state, [Action::NeighborhoodDrafted(wider.clone())]);
    assert!(state.story.pending().is_none());
    let state = after(state, [Action::GenerateWanted]);
    assert_eq!(state.story.pending().unwrap().request.neighborhood, wider);
}

#[test]
fn what_was_dragged_is_rounded_so_that_the_address_stays_short() {
    let spec = NeighborhoodSpec { center: Some(vec![0.123_456_7, -1.0]), ..Default::default() };
    let state = after(ready(), [Action::NeighborhoodDrafted(spec)]);
    assert_eq!(state.route().to_query(), "?center=0.123,-1");
}

#[test]
fn bands_and_a_dragged_center_belong_to_one_image() {
    let band = domain::LatentRange { dimension: 0, low: 0.0, high: 1.0 };
    let spec = NeighborhoodSpec { center: Some(vec![0.0]), ranges: vec![band], radius: 0.9, ..Default::default() };
    let state = after(
        ready(),
        [
            Action::ExampleChosen("train-7".to_owned()),
            Action::NeighborhoodDrafted(spec),
            Action::LatentDragged(vec![1.0]),
            Action::ExampleChosen("train-8".to_owned()),
        ],
    );
    let kept = NeighborhoodSpec { radius: 0.9, ..Default::default() };
    assert_eq!((*state.neighborhood).clone(), kept);
    assert!(state.live.pending().is_none());
}

#[test]
fn another_image_leaves_the_first_ones_snapshots_behind() {
    let state = after(ready(), [Action::ExampleChosen("train-7".to_owned())]);
    let first = state.story.pending().unwrap().request;
    let state = after(state, [Action::ExampleChosen("train-8".to_owned())]);
    let late = explanation(&first, 64, ExplanationState::Running);
    let state = after(state, [Action::ExplanationReceived(first, Box::new(late))]);
    assert!(state.story.current().is_none());
}

#[test]
fn a_lost_connection_keeps_what_is_shown() {
    let state = ready();
    let key = state.matrix.wanted().unwrap().clone();
    let matrix = Rc::new(ConfusionMatrix::from_counts(2, vec![1, 2, 3, 4]).unwrap());
    let state = after(state, [Action::MatrixReceived(key, Ok(matrix)), Action::Disconnected]);
    assert_eq!(state.connection, Connection::Reconnecting);
    assert!(state.matrix.current().is_some());
}

#[test]
fn a_stream_that_ends_is_opened_again_without_a_word_and_one_that_cannot_be_opened_is_told() {
    let state = after(ready(), [Action::Disconnected]);
    assert_eq!(state.connection, Connection::Reconnecting);
    let state = after(state, [Action::Disconnected, Action::Disconnected]);
    assert_eq!(state.connection, Connection::Lost);
    let state = after(state, [Action::CatalogChanged(CatalogUpdate::Dataset(dataset()))]);
    assert_eq!(state.connection, Connection::Live);
    let never_reached = after(AppState::at(&Route::default()), [Action::Disconnected]);
    assert_eq!(never_reached.connection, Connection::Lost);
}

#[test]
fn what_failed_while_the_server_was_away_is_asked_for_again_when_it_is_back() {
    let state = after(ready(), [Action::ExampleChosen("train-7".to_owned())]);
    let request = state.story.pending().unwrap().request;
    let away = || Error::UpstreamUnavailable { service: "Deeper".to_owned() };
    let page = state.gallery.pending().unwrap();
    let state = after(
        state,
        [Action::Disconnected, Action::PageReceived(page, Err(away())), Action::ExplanationFailed(request, away())],
    );
    assert!(state.gallery.problem().is_some() && state.story.problem().is_some());
    let state = after(state, [Action::CatalogChanged(CatalogUpdate::Dataset(dataset()))]);
    assert!(state.gallery.is_loading() && state.story.pending().is_some());
}

#[test]
fn a_failed_part_is_asked_for_again_and_leaves_the_others_alone() {
    let state = ready();
    let key = state.matrix.wanted().unwrap().clone();
    let state = after(state, [Action::MatrixReceived(key, Err(Error::DeadlineExceeded))]);
    assert!(state.matrix.problem().is_some() && state.gallery.is_loading());
    let state = after(state, [Action::RetryWanted(Part::Matrix)]);
    assert!(state.matrix.problem().is_none() && state.matrix.pending().is_some());
}

#[test]
fn a_failed_explanation_is_started_again_by_retry() {
    let state = after(ready(), [Action::ExampleChosen("train-7".to_owned())]);
    let state = explained(state, 0, ExplanationState::Failed(Error::DeadlineExceeded));
    assert!(state.instance_problem().is_some());
    let state = after(state, [Action::RetryWanted(Part::Instance)]);
    assert!(state.instance_problem().is_none() && state.story.pending().is_some());
}

#[test]
fn distilling_again_asks_once_and_the_latest_request_wins() {
    let state = after(ready(), [Action::ExampleChosen("train-7".to_owned()), Action::DistillWanted]);
    assert!(state.story.student.pending().is_none(), "there is nothing to distill from yet");
    let state = explained(state, 1_000, ExplanationState::Succeeded);
    let harder = domain::StudentSpec { l2: 1.0, ..Default::default() };
    let state = after(state, [Action::DistillWanted]);
    let first = state.story.student.wanted().unwrap().clone();
    let state = after(state, [Action::StudentDrafted(harder), Action::DistillWanted]);
    let state = after(state, [Action::StudentReceived(first, Err(Error::Cancelled))]);
    assert!(state.story.student.is_loading() && state.story.student.problem().is_none());
}

#[test]
fn an_own_image_is_explained_and_not_in_the_address() {
    let image = example(0, 0, &[1.0]).image;
    let state = after(ready(), [Action::OwnImageChosen(image, Some(Label(1)))]);
    assert_eq!(state.chosen().unwrap().title, "Your digit");
    assert!(state.story.pending().is_some());
    assert_eq!(state.route().image, None);
}

#[test]
fn another_autoencoder_explains_the_same_image_again() {
    let second = CatalogUpdate::Autoencoder(autoencoder("w", ModelState::Ready));
    let state = after(ready(), [Action::CatalogChanged(second), Action::ExampleChosen("train-7".to_owned())]);
    let state = after(state, [Action::AutoencoderChosen("w".to_owned())]);
    assert_eq!(state.story.pending().unwrap().request.autoencoder.id(), "w");
    assert_eq!(state.route().autoencoder.as_deref(), Some("w"));
}
