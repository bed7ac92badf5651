//! The left view: where the teacher is wrong, and the images of the chosen cell.

mod bring;
mod images;

use std::rc::Rc;

use domain::{ConfusionMatrix, Dataset, ModelState, Teacher};
use yew::prelude::*;

pub use images::ImagesProps;

use self::{bring::Bring, images::Images};
use crate::{
    components::{
        empty::Empty,
        format,
        model_card::TeacherCard,
        notice::ProblemNotice,
        own_digit::OwnImage,
        problem::Problem,
        progress_line::ProgressLine,
        toggle::Toggle,
        training_card::{ModelKind, TrainingCard},
    },
    plots::confusion_matrix::{ConfusionMatrixPlot, MatrixSelection, Measure, sentence},
    state::{Activity, Connection, Viewer},
};

/// What the view shows and where its wishes go.
#[derive(Properties, PartialEq, Clone)]
pub struct TeacherViewProps {
    /// One name a label.
    pub names: Rc<Vec<String>>,
    /// Whether the page hears the server.
    pub connection: Connection,
    /// The teacher in use.
    pub teacher: Option<Rc<Teacher>>,
    /// Who looks at it.
    pub viewer: Viewer,
    /// What it is judged on.
    pub dataset: Option<Rc<Dataset>>,
    /// What is making it.
    pub activity: Option<Rc<Activity>>,
    /// Where it is wrong.
    pub matrix: Option<Rc<ConfusionMatrix>>,
    /// Whether a newer one is on its way.
    pub matrix_is_loading: bool,
    /// Why there is none.
    pub matrix_problem: Option<Rc<Problem>>,
    /// What the cells say.
    pub measure: Measure,
    /// What is chosen.
    pub selection: MatrixSelection,
    /// The chosen cell's images.
    pub images: ImagesProps,
    /// Whether an image of one's own is being explained.
    pub explains_own: bool,
    /// The toggle over the matrix.
    pub on_measure: Callback<Measure>,
    /// A cell, a row, a column.
    pub on_select: Callback<MatrixSelection>,
    /// An image of one's own.
    pub on_own: Callback<OwnImage>,
    /// The matrix is wanted again.
    pub on_retry: Callback<()>,
    /// A training is to stop.
    pub on_cancel: Callback<String>,
    /// The teacher is to be trained again.
    pub on_again: Callback<()>,
}

/// One card. What is hovered, and whether paper to draw on is out, is its own.
#[component]
pub fn TeacherView(props: &TeacherViewProps) -> Html {
    let brings = use_state_eq(|| false);
    let on_brings = {
        let brings = brings.clone();
        Callback::from(move |open: bool| brings.set(open))
    };
    let on_toggle = {
        let brings = brings.clone();
        Callback::from(move |_: MouseEvent| brings.set(!*brings))
    };
    let content = match (&props.teacher, &props.matrix) {
        (Some(_), Some(matrix)) => html! {
            <Errors matrix={matrix.clone()} view={Rc::new(props.clone())} brings={*brings} {on_brings} />
        },
        (Some(teacher), None) if teacher.state != ModelState::Ready || teacher.accuracy.is_none() => html! {
            <>
                <TrainingCard kind={ModelKind::Teacher} name={teacher.display_name.clone()} state={teacher.state.clone()}
                    viewer={props.viewer.clone()} creator={teacher.creator.clone()}
                    activity={props.activity.clone()} on_cancel={props.on_cancel.clone()} on_again={props.on_again.clone()} />
                <Empty title="Here its errors will appear" text={prospect(teacher, props.dataset.as_deref())} />
            </>
        },
        (Some(_), None) => match &props.matrix_problem {
            Some(problem) => html! { <ProblemNotice problem={problem.clone()} on_retry={props.on_retry.clone()} /> },
            None => html! { <ProgressLine words="Counting the errors" /> },
        },
        (None, _) if props.connection == Connection::Live => html! {
            <Empty title="No teacher yet" text="A teacher is the classifier whose errors are shown here. Make one with CreateTeacher; it appears by itself." />
        },
        (None, _) => html! { <ProgressLine words="Waiting for the server" /> },
    };
    html! {
        <section class="card view-teacher" aria-labelledby="teacher-title" aria-busy={props.matrix_is_loading.to_string()}>
            <header class="card-head">
                <h2 id="teacher-title">{ "Teacher" }</h2>
                <p class="help">{ "where it is wrong" }</p>
                if props.matrix.is_some() {
                    <button class="link card-head-end" type="button" aria-expanded={brings.to_string()} onclick={on_toggle}>
                        { if *brings { "Back to the images" } else { "Bring your own digit" } }
                    </button>
                }
            </header>
            <div class="card-body">
                { content }
                if let Some(teacher) = &props.teacher {
                    <details class="about">
                        <summary>{ "About this teacher" }</summary>
                        <TeacherCard teacher={teacher.clone()} dataset={props.dataset.clone()} />
                    </details>
                }
            </div>
        </section>
    }
}

#[derive(Properties, PartialEq)]
struct ErrorsProps {
    matrix: Rc<ConfusionMatrix>,
    view: Rc<TeacherViewProps>,
    brings: bool,
    on_brings: Callback<bool>,
}

/// Matrix, sentence, images.
#[component]
fn Errors(props: &ErrorsProps) -> Html {
    let view = &props.view;
    let hovered = use_state_eq(MatrixSelection::default);
    let told = if *hovered == MatrixSelection::None { view.selection } else { *hovered };
    let on_hover = {
        let hovered = hovered.clone();
        use_callback((), move |selection, ()| hovered.set(selection))
    };
    let on_select = {
        let (on_brings, on_select) = (props.on_brings.clone(), view.on_select.clone());
        Callback::from(move |selection| {
            on_brings.emit(false);
            on_select.emit(selection);
        })
    };
    let on_measure = view.on_measure.reform(|index: usize| Measure::ALL[index.min(Measure::ALL.len() - 1)]);
    let measures = Measure::ALL.map(|measure| AttrValue::from(measure.name())).to_vec();
    let selected = Measure::ALL.iter().position(|measure| *measure == view.measure).unwrap_or(0);
    html! {
        <>
            <Toggle label="What the cells say" options={measures} {selected} on_change={on_measure}
                help="Images, or percent of the row (of that true label), or percent of the column (of that answer)" />
            <div class={classes!(view.matrix_is_loading.then_some("dim"))}>
                <ConfusionMatrixPlot matrix={props.matrix.clone()} names={view.names.clone()} measure={view.measure}
                    selection={view.selection} {on_select} {on_hover} />
            </div>
            if let Some(problem) = &view.matrix_problem {
                <ProblemNotice problem={problem.clone()} on_retry={view.on_retry.clone()} />
            }
            { told_sentence(&sentence(&props.matrix, &view.names, told), told) }
            if props.brings {
                <Bring dataset={view.dataset.clone()} names={view.names.clone()} explains_own={view.explains_own}
                    on_use={view.on_own.clone()} />
            } else {
                <Images ..view.images.clone() />
            }
        </>
    }
}

/// What it learns from and what it will be asked, while there is nothing to see yet.
fn prospect(teacher: &Teacher, dataset: Option<&Dataset>) -> String {
    let size = |id: &str| {
        let split = dataset?.splits.iter().find(|split| split.id == id)?;
        Some(format::count(split.example_count))
    };
    let recipe = &teacher.recipe;
    match (size(&recipe.training_split), size(&recipe.evaluation_split)) {
        (Some(learned), Some(judged)) => format!(
            "It learns from {learned} images and is then asked about {judged} it has not seen. Those it gets wrong are what this page explains."
        ),
        _ => "It is asked about images it has not seen. Those it gets wrong are what this page explains.".to_owned(),
    }
}

/// What happened in bold, how often after it, and how to read the matrix at all.
fn told_sentence(text: &str, told: MatrixSelection) -> Html {
    let (lead, rest) = split_lead(text, told);
    html! {
        <p class="sentence" aria-live="polite">
            <b>{ lead.to_owned() }</b>{ rest.to_owned() }
            if told != MatrixSelection::None {
                <span class="quiet">{ " Rows: true label. Columns: what the teacher said." }</span>
            }
        </p>
    }
}

/// `3 was taken for 5` and ` in 45 of 1,228 images (3.7 %).`; no lead where nothing is told.
fn split_lead(text: &str, told: MatrixSelection) -> (&str, &str) {
    let lead = text.find(" in ").filter(|_| told != MatrixSelection::None);
    text.split_at(lead.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use domain::Label;

    use super::*;

    #[test]
    fn what_happened_leads_the_sentence() {
        let cell = MatrixSelection::Cell { gold: Label(3), predicted: Label(5) };
        let text = "3 was taken for 5 in 45 of 1,228 images (3.7 %).";
        assert_eq!(split_lead(text, cell), ("3 was taken for 5", " in 45 of 1,228 images (3.7 %)."));
        assert_eq!(split_lead("Choose a cell in the matrix.", MatrixSelection::None).0, "");
    }
}
