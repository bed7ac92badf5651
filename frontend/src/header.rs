//! The line at the top: which models and data are looked at, and whether the page hears the server.

use std::rc::Rc;

use domain::{Autoencoder, ConfusionMatrix, Dataset, ModelState, Teacher};
use yew::prelude::*;

use crate::{
    components::{
        copy_link::CopyLink,
        export_button::ExportButton,
        model_card::{accuracy, evaluation, short_progress},
    },
    state::{Activity, Connection},
};

/// What it shows and where its wishes go.
#[derive(Properties, PartialEq)]
pub struct HeaderProps {
    /// Whether the page hears the server.
    pub connection: Connection,
    /// In use.
    pub teacher: Option<Rc<Teacher>>,
    /// What makes the teacher.
    pub teacher_activity: Option<Rc<Activity>>,
    /// What the teacher is judged on.
    pub dataset: Option<Rc<Dataset>>,
    /// Where the teacher is wrong.
    pub matrix: Option<Rc<ConfusionMatrix>>,
    /// In use.
    pub autoencoder: Option<Rc<Autoencoder>>,
    /// What makes the autoencoder.
    pub autoencoder_activity: Option<Rc<Activity>>,
    /// Whether an image is explained that an address cannot hold.
    pub explains_own: bool,
    /// Name and text of a file with the explanation; `None` while there is none.
    pub export: Option<Callback<(), (String, String)>>,
    /// A chip was pressed: show all models.
    pub on_models: Callback<()>,
    /// The list of keys is wanted.
    pub on_help: Callback<()>,
}

/// The line.
#[component]
pub fn Header(props: &HeaderProps) -> Html {
    let on_models = props.on_models.reform(|_: MouseEvent| ());
    let on_help = props.on_help.reform(|_: MouseEvent| ());
    let teacher_note = props.teacher.as_ref().and_then(|teacher| {
        accuracy(teacher).or_else(|| Some(note(&teacher.state, props.teacher_activity.as_deref())))
    });
    let autoencoder_note = props.autoencoder.as_ref().and_then(|autoencoder| {
        let is_ready = autoencoder.state == ModelState::Ready;
        (!is_ready).then(|| note(&autoencoder.state, props.autoencoder_activity.as_deref()))
    });
    html! {
        <header class="topbar">
            <h1 class="brand">{ "Visualize it Deeper" }</h1>
            if let Some(teacher) = &props.teacher {
                { chip("Teacher", &teacher.display_name, teacher_note, &on_models) }
            }
            if let Some(dataset) = &props.dataset {
                <span class="chip">
                    <small>{ "Data" }</small>{ " " }<b>{ dataset.display_name.clone() }</b>
                    if let Some(matrix) = &props.matrix {
                        { " \u{b7} " }<span class="tabular">{ evaluation(matrix.total(), matrix.total() - matrix.correct()) }</span>
                    }
                </span>
            }
            if let Some(autoencoder) = &props.autoencoder {
                { chip("Autoencoder", &autoencoder.display_name, autoencoder_note, &on_models) }
            }
            <span class="topbar-end">
                { connection(props.connection) }
                <CopyLink leaves_out_own={props.explains_own} />
                <ExportButton file={props.export.clone()} />
                <button class="link" type="button" onclick={on_help} aria-label="How to use this page" title="How to use this page (?)">{ "?" }</button>
            </span>
        </header>
    }
}

fn chip(kind: &'static str, name: &str, note: Option<String>, on_click: &Callback<MouseEvent>) -> Html {
    html! {
        <button class="chip" type="button" onclick={on_click.clone()} title="Show all models" aria-haspopup="dialog">
            <small>{ kind }</small>{ " " }<b>{ name.to_owned() }</b>
            if let Some(note) = note {
                { " \u{b7} " }<span class="tabular">{ note }</span>
            }
        </button>
    }
}

/// What a model without weights is doing.
fn note(state: &ModelState, activity: Option<&Activity>) -> String {
    match state {
        ModelState::Ready => "being evaluated".to_owned(),
        ModelState::Failed(_) => "no weights".to_owned(),
        ModelState::Training => match activity.and_then(Activity::phase) {
            Some(domain::TrainingPhase::Training) => short_progress(activity.and_then(Activity::fraction), "training"),
            Some(domain::TrainingPhase::Evaluating) => {
                short_progress(activity.and_then(Activity::fraction), "evaluating")
            }
            _ => "waiting".to_owned(),
        },
    }
}

fn connection(connection: Connection) -> Html {
    let (class, mark, words) = match connection {
        Connection::Live => ("good", "\u{25cf}", "ready"),
        Connection::Connecting => ("quiet", "\u{25cb}", "connecting\u{2026}"),
        Connection::Reconnecting => ("warn", "\u{25cb}", "reconnecting\u{2026}"),
        Connection::Lost => ("bad", "\u{25cb}", "no server"),
    };
    html! {
        <span class={classes!("connection", class)} role="status"><span aria-hidden="true">{ mark }</span>{ " " }{ words }</span>
    }
}
