//! The right view: a linear model that imitates the teacher around the chosen image, how far to
//! trust it, and what it looks at.

mod classes;
mod contrast;
mod controls;
mod fields;

use std::rc::Rc;

use domain::{Label, Student, StudentSpec};
use yew::prelude::*;

use self::{classes::ClassRows, contrast::Contrast, controls::Controls};
use crate::components::{
    chosen::ChosenImage, empty::Empty, format::count, notice::ProblemNotice, problem::Problem,
    progress_line::ProgressLine, shared::Shared, trust_card::TrustCard,
};

/// How far the newest student has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StudentProgress {
    /// Neighbors labelled so far.
    pub neighbor_count: usize,
    /// Neighbors asked for.
    pub neighbor_target: usize,
}

impl StudentProgress {
    /// `sharpening, 400 of 1,000`.
    fn words(self) -> String {
        if self.neighbor_count == 0 {
            return "waiting for the first neighbors".to_owned();
        }
        format!("sharpening, {} of {}", count(self.neighbor_count as u64), count(self.neighbor_target as u64))
    }

    fn fraction(self) -> Option<f64> {
        let started = self.neighbor_count > 0 && self.neighbor_target > 0;
        started.then(|| self.neighbor_count as f64 / self.neighbor_target as f64)
    }
}

/// While nothing is chosen.
const NO_IMAGE: &str = "Once an image is chosen, a small model that imitates the teacher around it shows here why the \
                        teacher answers as it does.";
/// While the chosen image has not been explained.
const NO_STUDENT: &str = "Press Generate and distill: the teacher reads neighbors of the image, and a student learns \
                          its answers.";

/// What the view shows and where its wishes go.
#[derive(Properties, PartialEq)]
pub struct StudentViewProps {
    /// One name a label.
    pub names: Rc<Vec<String>>,
    /// The chosen image; `None` while nothing is chosen.
    pub instance: Option<Rc<ChosenImage>>,
    /// The best student so far.
    #[prop_or_default]
    pub student: Option<Shared<Student>>,
    /// What the boxes say.
    pub draft: Rc<StudentSpec>,
    /// While a student is being made or sharpened.
    #[prop_or_default]
    pub progress: Option<StudentProgress>,
    /// Whether the student on the page belongs to an older request.
    #[prop_or_default]
    pub stale: bool,
    /// Whether there are neighbors to distill from.
    pub can_distill: bool,
    /// What went wrong last.
    #[prop_or_default]
    pub problem: Option<Rc<Problem>>,
    /// A box was changed.
    pub on_draft: Callback<StudentSpec>,
    /// Fit another student to the same neighbors.
    pub on_distill: Callback<()>,
    /// Try again what went wrong.
    pub on_retry: Callback<()>,
}

/// What both lists of maps show: the contrast and the classes.
#[derive(Properties, PartialEq, Clone)]
struct MapsProps {
    names: Rc<Vec<String>>,
    instance: Rc<ChosenImage>,
    student: Shared<Student>,
    /// A class whose weights are shown in the place of the contrast.
    large: Option<Label>,
    on_large: Callback<Option<Label>>,
}

/// One card. Which map is shown large is its own.
#[component]
pub fn StudentView(props: &StudentViewProps) -> Html {
    let large = use_state_eq(|| None::<Label>);
    {
        let large = large.clone();
        use_effect_with(props.instance.clone(), move |_| large.set(None));
    }
    let on_large = {
        let large = large.clone();
        Callback::from(move |label: Option<Label>| large.set(label))
    };
    let content = match (&props.instance, &props.student) {
        (None, _) => html! {
            <Empty title="No student yet" text={NO_IMAGE} />
        },
        (Some(_), None) => match (props.progress, &props.problem) {
            (Some(progress), _) => html! {
                <div class="waiting">
                    <ProgressLine fraction={progress.fraction()} words={progress.words()} />
                </div>
            },
            (None, Some(_)) => Html::default(),
            (None, None) => html! {
                <Empty title="No student of this image yet" text={NO_STUDENT} />
            },
        },
        (Some(instance), Some(student)) => {
            let (names, instance, student) = (props.names.clone(), instance.clone(), student.clone());
            let fidelity = student.fidelity.clone();
            let maps = MapsProps { names, instance, student, large: *large, on_large };
            html! {
                <div class={classes!("student", props.stale.then_some("dim"))}>
                    <TrustCard {fidelity} />
                    <Contrast ..maps.clone() />
                    <ClassRows ..maps />
                </div>
            }
        }
    };
    let sharpening = props.progress.filter(|_| props.student.is_some());
    let help = sharpening.map_or_else(|| "a linear model that imitates the teacher".to_owned(), StudentProgress::words);
    html! {
        <section class="card view-student" aria-labelledby="student-title"
            aria-busy={props.progress.is_some().to_string()}>
            <header class="card-head">
                <h2 id="student-title">{ "Student" }</h2>
                // In the place of the help, so that nothing moves when it ends.
                <p class="help tabular">{ help }</p>
            </header>
            // Always there, so that nothing moves when it fills.
            <div class="card-progress" aria-hidden="true">
                if let Some(progress) = sharpening {
                    <span class={classes!(progress.fraction().is_none().then_some("is-unknown"))}
                        style={format!("--share:{:.4}", progress.fraction().unwrap_or(0.3))} />
                }
            </div>
            <div class="card-body">
                <Controls draft={props.draft.clone()}
                    fitted={props.student.as_ref().map(|student| Rc::new(student.spec.clone()))}
                    can_distill={props.can_distill && props.instance.is_some()} on_draft={props.on_draft.clone()}
                    on_distill={props.on_distill.clone()} />
                if let Some(problem) = &props.problem {
                    <ProblemNotice problem={problem.clone()} on_retry={props.on_retry.clone()} />
                }
                { content }
            </div>
        </section>
    }
}

/// The limit of the scale that the contrast map and all weight maps share.
fn weight_limit(student: &Student) -> f32 {
    student.weight_limit().max(student.contrast_map.max_abs())
}
