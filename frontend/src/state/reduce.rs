//! What each action does to the state. Pure: no clock, no chance, no server.

use std::rc::Rc;

use super::{
    Action, AppState, AttributionKey, Connection, EncodingKey, ExampleKey, ExplanationRequest, MatrixKey, Part,
    StudentRequest, Subject, gallery::GalleryKey,
};
use crate::{components::shared::Shared, plots::confusion_matrix::MatrixSelection};

/// The state after an action, with everything asked for that follows from it.
pub fn reduce(mut state: AppState, action: Action) -> AppState {
    match action {
        Action::Disconnected => state.connection = state.connection.broken(),
        Action::CatalogChanged(update) => {
            let before = std::mem::replace(&mut state.connection, Connection::Live);
            let comes_back = matches!(before, Connection::Reconnecting | Connection::Lost);
            state.catalog.apply(update);
            if comes_back {
                retry_what_failed(&mut state);
            }
        }
        Action::MatrixReceived(key, result) => state.matrix.receive(&key, result),
        Action::PageReceived(request, result) => {
            let names = state.label_names();
            state.gallery.receive(&request, result, &names);
        }
        Action::ExampleReceived(key, result) => state.example.receive(&key, result),
        Action::EncodingReceived(key, result) => state.encoding.receive(&key, result),
        Action::AttributionReceived(key, result) => state.attribution.receive(&key, result),
        Action::ExplanationReceived(request, explanation) => state.story.receive(&request, *explanation),
        Action::ExplanationFailed(request, error) => state.story.fail(&request, &error),
        Action::NeighborsReceived(page, result) => {
            state.story.neighbors.receive(&page, result);
            state.story.follow_neighbors();
        }
        Action::StudentProgressed(request, fit) => state.story.progress(&request, fit),
        Action::StudentReceived(request, result) => {
            state.story.student.receive(&request, result.map(|student| Shared::new(*student)));
        }
        Action::Decoded(point, result) => state.live.receive(&point, result),
        Action::CommandFailed(problem) => state.command_problem = Some(problem),

        Action::Navigated(route) => state.go_to(&route),
        Action::TeacherChosen(id) => choose_teacher(&mut state, id),
        Action::AutoencoderChosen(id) => choose_autoencoder(&mut state, id),
        Action::Selected(selection) => state.selection = selection,
        Action::MeasureChosen(measure) => state.measure = measure,
        Action::OrderChosen(order) => state.order = order,
        Action::MoreWanted => state.gallery.want_more(),
        Action::ExampleChosen(id) => choose(&mut state, Subject::Example(id)),
        Action::OwnImageChosen(image, gold_label) => choose(&mut state, Subject::Own(image, gold_label)),
        Action::AttributionChosen(choice) => state.attribution_choice = choice,
        Action::NeighborhoodDrafted(spec) => state.neighborhood = Rc::new(rounded(spec)),
        Action::StudentDrafted(spec) => state.student_spec = Rc::new(spec),
        Action::GenerateWanted => state.starts_by_itself = state.subject.is_some(),
        Action::DistillWanted => distill(&mut state),
        Action::LatentDragged(point) => state.live.drag(point),
        Action::LatentReset => state.live.clear(),
        Action::RetryWanted(part) => retry(&mut state, part),
        Action::ProblemDismissed => state.command_problem = None,
    }
    settle(&mut state);
    state
}

/// Asks for everything that follows from what is chosen and ready.
fn settle(state: &mut AppState) {
    // While the page does not hear the server, what it showed last stays.
    let Some(teacher) = state.ready_teacher().cloned() else {
        if state.connection == Connection::Live {
            state.matrix.want(None);
            state.gallery.want(None);
            state.attribution.want(None);
        }
        return;
    };
    let (dataset, split) = (teacher.recipe.dataset.clone(), teacher.recipe.evaluation_split.clone());
    let (gold, predicted) = match state.selection {
        MatrixSelection::None => (None, None),
        MatrixSelection::Cell { gold, predicted } => (Some(gold), Some(predicted)),
        MatrixSelection::Row(gold) => (Some(gold), None),
        MatrixSelection::Column(predicted) => (None, Some(predicted)),
    };
    state.gallery.want(Some(GalleryKey {
        teacher: teacher.name.clone(),
        dataset: dataset.clone(),
        split: split.clone(),
        gold,
        predicted,
        errors_only: gold.is_none() || predicted.is_none(),
        order: state.order,
    }));
    let digest = teacher.digest.clone();
    state.matrix.want(Some(MatrixKey { teacher: teacher.name.clone(), digest, dataset, split }));

    let instance = state.instance();
    want_example(state, &teacher.name);
    state.attribution.want(instance.clone().map(|instance| AttributionKey {
        teacher: teacher.name.clone(),
        instance,
        choice: state.attribution_choice,
    }));
    let autoencoder = state.ready_autoencoder().cloned();
    let Some((instance, autoencoder)) = instance.clone().zip(autoencoder) else {
        if instance.is_none() {
            state.encoding.want(None);
            state.story.clear();
        }
        return;
    };
    state.encoding.want(Some(EncodingKey {
        teacher: teacher.name.clone(),
        autoencoder: autoencoder.name.clone(),
        instance: instance.clone(),
    }));
    if state.starts_by_itself {
        state.starts_by_itself = false;
        state.story.begin(ExplanationRequest {
            teacher: teacher.name.clone(),
            autoencoder: autoencoder.name.clone(),
            digests: [teacher.digest.clone(), autoencoder.digest.clone()],
            instance,
            neighborhood: (*state.neighborhood).clone(),
            student: (*state.student_spec).clone(),
            mark: state.catalog.viewer.mark().map(str::to_owned),
        });
    }
}

/// The gallery may hold the example already; then nothing is asked.
fn want_example(state: &mut AppState, teacher: &domain::ResourceName) {
    let key = state.example_name().map(|name| ExampleKey { name, teacher: teacher.clone() });
    if state.example.wanted() == key.as_ref() {
        return;
    }
    let known = key.as_ref().and_then(|key| state.gallery.example(key.name.id())).cloned();
    state.example.want(key.clone());
    if let Some((key, example)) = key.zip(known) {
        state.example.receive(&key, Ok(example));
    }
}

/// Bands and a dragged center belong to one image in one latent space: another image starts without them.
fn choose(state: &mut AppState, subject: Subject) {
    if state.subject.as_ref() == Some(&subject) {
        return;
    }
    state.subject = Some(subject);
    state.starts_by_itself = true;
    forget_bands(state);
}

fn choose_teacher(state: &mut AppState, id: String) {
    if state.teacher().is_some_and(|teacher| teacher.name.id() == id) {
        return;
    }
    state.teacher_choice = Some(id);
    state.starts_by_itself = state.subject.is_some();
}

fn choose_autoencoder(state: &mut AppState, id: String) {
    if state.autoencoder().is_some_and(|autoencoder| autoencoder.name.id() == id) {
        return;
    }
    state.autoencoder_choice = Some(id);
    state.starts_by_itself = state.subject.is_some();
    forget_bands(state);
}

fn forget_bands(state: &mut AppState) {
    state.live.clear();
    if state.neighborhood.center.is_some() || !state.neighborhood.ranges.is_empty() {
        let spec = Rc::make_mut(&mut state.neighborhood);
        spec.center = None;
        spec.ranges.clear();
    }
    if !state.student_spec.ranges.is_empty() {
        Rc::make_mut(&mut state.student_spec).ranges.clear();
    }
}

/// A thousandth of the prior's standard deviation is finer than a hand: the address stays short.
fn rounded(mut spec: domain::NeighborhoodSpec) -> domain::NeighborhoodSpec {
    let round = |value: &mut f32| *value = (*value * 1_000.0).round() / 1_000.0;
    spec.center.iter_mut().flatten().for_each(round);
    for range in &mut spec.ranges {
        round(&mut range.low);
        round(&mut range.high);
    }
    spec
}

fn distill(state: &mut AppState) {
    let Some(explanation) = state.story.finished().cloned() else { return };
    let request = StudentRequest { explanation, spec: (*state.student_spec).clone() };
    if state.story.student.wanted() == Some(&request) {
        state.story.student.retry();
    } else {
        state.story.student.want(Some(request));
    }
}

/// The server is back: what failed meanwhile is asked for again without a click.
fn retry_what_failed(state: &mut AppState) {
    let problems = [
        (Part::Matrix, state.matrix.problem()),
        (Part::Gallery, state.gallery.problem()),
        (Part::Attribution, state.attribution.problem()),
        (Part::Student, state.story.student.problem()),
        (Part::Instance, state.instance_problem()),
    ];
    for (part, problem) in problems {
        if problem.is_some_and(|problem| problem.can_retry) {
            retry(state, part);
        }
    }
}

fn retry(state: &mut AppState, part: Part) {
    match part {
        Part::Matrix => state.matrix.retry(),
        Part::Gallery => state.gallery.retry(),
        Part::Attribution if state.attribution.problem().is_none() => {}
        Part::Attribution => state.attribution.retry(),
        Part::Student => state.story.student.retry(),
        Part::Instance => {
            if state.example.problem().is_some() {
                state.example.retry();
            }
            if state.encoding.problem().is_some() {
                state.encoding.retry();
            }
            state.live.clear();
            // The neighbors' pages have a retry of their own; else the explanation starts again.
            if state.story.neighbors.problem().is_some() {
                state.story.neighbors.retry();
                state.story.follow_neighbors();
            } else if state.story.problem().is_some() {
                state.starts_by_itself = true;
            }
        }
    }
}

impl Connection {
    /// A stream that ends is opened again without a word; one that cannot be opened is told.
    fn broken(self) -> Self {
        match self {
            Self::Live => Self::Reconnecting,
            Self::Connecting | Self::Reconnecting | Self::Lost => Self::Lost,
        }
    }
}

#[cfg(test)]
mod tests;
