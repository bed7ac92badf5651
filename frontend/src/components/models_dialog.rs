//! All teachers and autoencoders: what each is, how far its training is, which one is in use, and a form
//! for another autoencoder.

use std::rc::Rc;

use domain::{Autoencoder, AutoencoderRecipe, Dataset, ModelState, ResourceName, Teacher};
use yew::prelude::*;

use super::{
    autoencoder_form::AutoencoderForm,
    dialog::Dialog,
    model_card::{AutoencoderCard, TeacherCard, accuracy},
    training_card::{ModelKind, TrainingCard},
};
use crate::state::Catalog;

/// What to show and where wishes go.
#[derive(Properties, PartialEq)]
pub struct ModelsDialogProps {
    /// Whether it is there.
    pub open: bool,
    /// All there is.
    pub catalog: Rc<Catalog>,
    /// In use.
    pub teacher: Option<Rc<Teacher>>,
    /// In use.
    pub autoencoder: Option<Rc<Autoencoder>>,
    /// What another autoencoder would learn from.
    pub dataset: Option<Rc<Dataset>>,
    /// It was closed.
    pub on_close: Callback<()>,
    /// Another teacher is to be used, by id.
    pub on_teacher: Callback<String>,
    /// Another autoencoder is to be used, by id.
    pub on_autoencoder: Callback<String>,
    /// A training is to stop.
    pub on_cancel: Callback<String>,
    /// A teacher is to be trained again.
    pub on_teacher_again: Callback<Rc<Teacher>>,
    /// An autoencoder is to be trained again.
    pub on_autoencoder_again: Callback<Rc<Autoencoder>>,
    /// An autoencoder is to be deleted.
    pub on_delete_autoencoder: Callback<ResourceName>,
    /// Another autoencoder is to be trained.
    pub on_train: Callback<(String, AutoencoderRecipe)>,
}

/// The window.
#[component]
pub fn ModelsDialog(props: &ModelsDialogProps) -> Html {
    let taken = Rc::new(props.catalog.autoencoders.iter().map(|it| it.name.id().to_owned()).collect::<Vec<_>>());
    html! {
        <Dialog id="models" title="Models" open={props.open} on_close={props.on_close.clone()}>
            <section aria-label="Teachers">
                <h3>{ "Teachers" }<small class="quiet">{ " whose answers are explained" }</small></h3>
                for teacher in props.catalog.teachers.iter() {
                    { teacher_row(props, teacher) }
                }
            </section>
            <section aria-label="Autoencoders">
                <h3>{ "Autoencoders" }<small class="quiet">{ " that draw neighbors of an image" }</small></h3>
                for autoencoder in props.catalog.autoencoders.iter() {
                    { autoencoder_row(props, autoencoder) }
                }
            </section>
            if let Some(dataset) = &props.dataset {
                <details class="about">
                    <summary>{ "Train another autoencoder" }</summary>
                    <AutoencoderForm dataset={dataset.clone()} {taken} on_train={props.on_train.clone()} />
                </details>
            }
        </Dialog>
    }
}

fn teacher_row(props: &ModelsDialogProps, teacher: &Rc<Teacher>) -> Html {
    let in_use = props.teacher.as_ref().is_some_and(|used| used.name == teacher.name);
    let viewer = &props.catalog.viewer;
    let note = accuracy(teacher).map(|share| format!("{share} right"));
    let note = with_creator(note, viewer.other(&teacher.creator));
    let again = {
        let (on_again, teacher) = (props.on_teacher_again.clone(), teacher.clone());
        Callback::from(move |()| on_again.emit(teacher.clone()))
    };
    html! {
        <article key={teacher.name.to_string()} class="model">
            { choice("teacher-in-use", &teacher.name, &teacher.display_name, &note, in_use, &props.on_teacher) }
            if is_in_the_making(&teacher.state, teacher.accuracy.is_none()) {
                <TrainingCard kind={ModelKind::Teacher} name={teacher.display_name.clone()} state={teacher.state.clone()}
                    viewer={viewer.clone()} creator={teacher.creator.clone()}
                    activity={props.catalog.activity(&teacher.name, &teacher.operation).cloned()}
                    on_cancel={props.on_cancel.clone()} on_again={again} />
            }
            <details class="about">
                <summary>{ "About it" }</summary>
                <TeacherCard teacher={teacher.clone()} dataset={props.catalog.dataset(&teacher.recipe.dataset).cloned()} />
            </details>
        </article>
    }
}

fn autoencoder_row(props: &ModelsDialogProps, autoencoder: &Rc<Autoencoder>) -> Html {
    let in_use = props.autoencoder.as_ref().is_some_and(|used| used.name == autoencoder.name);
    let viewer = &props.catalog.viewer;
    let note = format!("{} dimensions", autoencoder.recipe.latent_dimension_count);
    let note = with_creator(Some(note), viewer.other(&autoencoder.creator));
    let again = {
        let (on_again, autoencoder) = (props.on_autoencoder_again.clone(), autoencoder.clone());
        Callback::from(move |()| on_again.emit(autoencoder.clone()))
    };
    let on_delete = {
        let (on_delete, name) = (props.on_delete_autoencoder.clone(), autoencoder.name.clone());
        Callback::from(move |_: MouseEvent| on_delete.emit(name.clone()))
    };
    let is_made = autoencoder.state != ModelState::Training;
    let can_go = is_made && !in_use && viewer.may_change(&autoencoder.creator);
    html! {
        <article key={autoencoder.name.to_string()} class="model">
            { choice("autoencoder-in-use", &autoencoder.name, &autoencoder.display_name, &note, in_use, &props.on_autoencoder) }
            if is_in_the_making(&autoencoder.state, false) {
                <TrainingCard kind={ModelKind::Autoencoder} name={autoencoder.display_name.clone()} state={autoencoder.state.clone()}
                    viewer={viewer.clone()} creator={autoencoder.creator.clone()}
                    activity={props.catalog.activity(&autoencoder.name, &autoencoder.operation).cloned()}
                    on_cancel={props.on_cancel.clone()} on_again={again} />
            }
            <details class="about">
                <summary>{ "About it" }</summary>
                <AutoencoderCard autoencoder={autoencoder.clone()} dataset={props.catalog.dataset(&autoencoder.recipe.dataset).cloned()} />
                if can_go {
                    <button class="link" type="button" onclick={on_delete}>{ "Delete it with its weights" }</button>
                }
            </details>
        </article>
    }
}

fn is_in_the_making(state: &ModelState, waits_for_evaluation: bool) -> bool {
    *state != ModelState::Ready || waits_for_evaluation
}

/// `97.55 % right · by ben`: who made it is said where it was somebody else.
fn with_creator(note: Option<String>, creator: Option<&str>) -> String {
    let parts: Vec<String> = note.into_iter().chain(creator.map(|creator| format!("by {creator}"))).collect();
    parts.join(" \u{b7} ")
}

/// A radio button with the model's name.
fn choice(
    group: &'static str,
    name: &ResourceName,
    display_name: &str,
    note: &str,
    in_use: bool,
    on_choose: &Callback<String>,
) -> Html {
    let (on_choose, id) = (on_choose.clone(), name.id().to_owned());
    html! {
        <label class="model-name">
            <input type="radio" name={group} checked={in_use} onchange={move |_: Event| on_choose.emit(id.clone())} />
            <b>{ display_name.to_owned() }</b>
            <span class="quiet tabular">{ note.to_owned() }</span>
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_model_is_stands_beside_it_where_it_is_anothers() {
        let note = |text: &str| Some(text.to_owned());
        assert_eq!(with_creator(note("10 dimensions"), Some("ben")), "10 dimensions \u{b7} by ben");
        assert_eq!(with_creator(None, Some("ben")), "by ben");
        assert_eq!(with_creator(note("10 dimensions"), None), "10 dimensions");
    }
}
