//! The middle view: the chosen image with the teacher's answer, where it lies in latent space, and
//! the neighbors drawn around it.

mod controls;
mod counts;
mod fields;
mod instance_panel;
mod latent_panel;

use std::rc::Rc;

use domain::{
    Attribution, AttributionMethod, Explanation, Image, Latent, Neighbor, NeighborhoodSpec, Reconstruction, SoftLabels,
};
use yew::prelude::*;

use self::{controls::Controls, instance_panel::InstancePanel, latent_panel::LatentPanel};
use crate::{
    components::{
        chosen::{ChosenImage, label_name},
        empty::Empty,
        mark::{MarkedLabel, Role},
        notice::ProblemNotice,
        problem::Problem,
        progress_line::ProgressLine,
        shared::Shared,
    },
    plots::image_grid::ImageGrid,
};

/// The decoder's answer to the last point a handle was dragged to.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveDecode {
    /// The point.
    pub latent: Vec<f32>,
    /// What it decodes to.
    pub image: Image,
    /// The teacher's answer to it at temperature 1, once known.
    pub soft_labels: Option<SoftLabels>,
}

/// What the view shows and where its wishes go.
#[derive(Properties, PartialEq)]
pub struct LatentViewProps {
    /// One name a label.
    pub names: Rc<Vec<String>>,
    /// The chosen image; `None` while nothing is chosen.
    pub instance: Option<Rc<ChosenImage>>,
    /// What one waits for while an image is chosen of which nothing is known yet.
    #[prop_or_default]
    pub opening: Option<AttrValue>,
    /// Its newest snapshot.
    #[prop_or_default]
    pub explanation: Option<Shared<Explanation>>,
    /// Those that have arrived, with their images, in index order.
    #[prop_or_default]
    pub neighbors: Shared<Vec<Neighbor>>,
    /// Where the chosen image lies, once known.
    #[prop_or_default]
    pub latent: Option<Rc<Latent>>,
    /// What the autoencoder makes of the chosen image, once known.
    #[prop_or_default]
    pub reconstruction: Option<Rc<Reconstruction>>,
    /// What boxes and bands say.
    pub draft: Rc<NeighborhoodSpec>,
    /// The teacher's own attribution at the chosen image.
    #[prop_or_default]
    pub attribution: Option<Rc<Attribution>>,
    /// Why there is none.
    #[prop_or_default]
    pub attribution_problem: Option<Rc<Problem>>,
    /// Which one is wanted.
    pub attribution_method: AttributionMethod,
    /// Answer to the last dragged point.
    #[prop_or_default]
    pub live: Option<Rc<LiveDecode>>,
    /// Whether an explanation of the chosen image is being made.
    #[prop_or_default]
    pub busy: bool,
    /// Whether the neighbors on the page belong to an older request.
    #[prop_or_default]
    pub stale: bool,
    /// Whether the button works.
    pub can_generate: bool,
    /// Why it does not, shown beside it.
    #[prop_or_default]
    pub blocked: Option<AttrValue>,
    /// What went wrong last.
    #[prop_or_default]
    pub problem: Option<Rc<Problem>>,
    /// A box, a band or a handle was changed.
    pub on_draft: Callback<NeighborhoodSpec>,
    /// A handle was moved: decode this point; only the latest counts.
    pub on_drag_latent: Callback<Vec<f32>>,
    /// Back to where the image lies.
    pub on_reset_latent: Callback<()>,
    /// Another attribution is wanted.
    pub on_attribution_method: Callback<AttributionMethod>,
    /// The button that acts.
    pub on_generate: Callback<()>,
    /// Stop what is being made.
    pub on_cancel: Callback<()>,
    /// Try again what went wrong.
    pub on_retry: Callback<()>,
}

/// One card. What is hovered, picked and focused among the neighbors is its own.
#[component]
pub fn LatentView(props: &LatentViewProps) -> Html {
    let hovered = use_state_eq(|| None::<usize>);
    let picked = use_state_eq(|| None::<usize>);
    let focus = use_state_eq(|| None::<domain::Label>);
    {
        // Another image or another draw: what was pointed at is gone.
        let (hovered, picked, focus) = (hovered.clone(), picked.clone(), focus.clone());
        use_effect_with(props.instance.clone(), move |_| {
            hovered.set(None);
            picked.set(None);
            focus.set(None);
        });
    }
    let Some(instance) = &props.instance else {
        return html! {
            <section class="card view-latent" aria-labelledby="latent-title">
                <header class="card-head"><h2 id="latent-title">{ "Image" }</h2></header>
                { without_image(props) }
            </section>
        };
    };
    let (gold, predicted) = (instance.gold_label, instance.predicted_label());
    let marked = |label, role| html! { <MarkedLabel {role} name={label_name(&props.names, label)} /> };
    let on_hover = {
        let hovered = hovered.clone();
        callback_of(move |index: Option<usize>| hovered.set(index))
    };
    let on_pick = {
        let picked = picked.clone();
        callback_of(move |index: usize| picked.set(if *picked == Some(index) { None } else { Some(index) }))
    };
    let on_focus = {
        let focus = focus.clone();
        callback_of(move |label: Option<domain::Label>| focus.set(label))
    };
    html! {
        <section class="card view-latent" aria-labelledby="latent-title" aria-busy={props.busy.to_string()}>
            <header class="card-head">
                <h2 id="latent-title">{ instance.title.clone() }</h2>
                <p class="help">
                    if let Some(gold) = gold {
                        { "true " }{ marked(gold, Role::Gold) }{ " \u{b7} " }
                    }
                    if let Some(predicted) = predicted {
                        { "teacher says " }{ marked(predicted, Role::Predicted) }
                    } else {
                        { "the teacher is reading it" }
                    }
                </p>
            </header>
            <div class="card-body">
                <InstancePanel names={props.names.clone()} instance={instance.clone()}
                    reconstruction={props.reconstruction.clone()}
                    anchoring={props.draft.anchoring} attribution={props.attribution.clone()}
                    attribution_problem={props.attribution_problem.clone()} method={props.attribution_method}
                    on_method={props.on_attribution_method.clone()} />
                <LatentPanel names={props.names.clone()} {gold} {predicted} latent={props.latent.clone()}
                    neighbors={props.neighbors.clone()} stale={props.stale} draft={props.draft.clone()}
                    live={props.live.clone()}
                    focus={*focus} hovered={*hovered} picked={*picked} on_hover={on_hover.clone()}
                    on_pick={on_pick.clone()}
                    on_draft={props.on_draft.clone()} on_drag_latent={props.on_drag_latent.clone()}
                    on_reset_latent={props.on_reset_latent.clone()} />
                <Controls draft={props.draft.clone()} busy={props.busy} can_generate={props.can_generate}
                    blocked={props.blocked.clone()} progress={props.busy.then(|| progress(props))}
                    on_draft={props.on_draft.clone()} on_generate={props.on_generate.clone()}
                    on_cancel={props.on_cancel.clone()} />
                if let Some(problem) = &props.problem {
                    <ProblemNotice problem={problem.clone()} on_retry={props.on_retry.clone()} />
                }
                <counts::Counts names={props.names.clone()} neighbors={props.neighbors.clone()} {gold} {predicted}
                    focus={*focus} {on_focus} />
                if !props.neighbors.is_empty() {
                    <div class={classes!(props.stale.then_some("dim"))}>
                        <ImageGrid neighbors={props.neighbors.clone()} names={props.names.clone()} {gold} {predicted}
                            focus={*focus} hovered={*hovered} picked={*picked} {on_hover} {on_pick} />
                    </div>
                }
            </div>
        </section>
    }
}

/// Why there is no image: it cannot be had, it is on its way, or nothing is chosen.
fn without_image(props: &LatentViewProps) -> Html {
    match (&props.opening, &props.problem) {
        (Some(_), Some(problem)) => html! {
            <div class="card-body"><ProblemNotice problem={problem.clone()} on_retry={props.on_retry.clone()} /></div>
        },
        (Some(words), None) => html! { <div class="waiting"><ProgressLine words={words.clone()} /></div> },
        (None, _) => html! {
            <Empty title="No image chosen yet"
                text="Click a cell of the matrix, then one of its images, or bring a digit of your own. Its neighbors appear here." />
        },
    }
}

/// A callback from a closure. Hooks cannot stand after the early return, so it is new at every render.
fn callback_of<T: 'static>(call: impl Fn(T) + 'static) -> Callback<T> {
    Callback::from(call)
}

/// How far the explanation has come: share and words.
fn progress(props: &LatentViewProps) -> (Option<f64>, AttrValue) {
    use crate::components::format::count;
    let Some(explanation) = props.explanation.as_ref().filter(|explanation| !explanation.is_done()) else {
        return (None, "Starting".into());
    };
    let (done, all) = (explanation.labeled_neighbor_count, explanation.neighborhood.neighbor_count.max(1));
    match explanation.stage {
        domain::Stage::Encoding => (None, "Finding the image in latent space".into()),
        domain::Stage::Labeling => {
            let words = format!("{} of {} neighbors labeled", count(done as u64), count(all as u64));
            (Some(done as f64 / all as f64), words.into())
        }
        domain::Stage::Distilling => (Some(1.0), "Fitting the student to all of them".into()),
        domain::Stage::Complete => (Some(1.0), "Done".into()),
    }
}
