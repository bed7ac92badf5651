//! The middle of the page: the latent view, or the autoencoder's training until there is one to look into.

use std::rc::Rc;

use domain::{AttributionMethod, ModelState};
use yew::prelude::*;

use super::callbacks::Callbacks;
use crate::{
    components::{
        chosen::ChosenImage,
        empty::Empty,
        training_card::{ModelKind, TrainingCard},
    },
    route::AttributionChoice,
    state::{Activity, AppState, Connection},
    views::latent::LatentView,
};

/// What it shows and where its wishes go.
#[derive(Properties, PartialEq)]
pub(super) struct MiddleProps {
    pub(super) state: Rc<AppState>,
    pub(super) names: Rc<Vec<String>>,
    pub(super) instance: Option<Rc<ChosenImage>>,
    pub(super) activity: Option<Rc<Activity>>,
    pub(super) on: Rc<Callbacks>,
}

#[component]
pub(super) fn Middle(props: &MiddleProps) -> Html {
    let (state, on) = (&*props.state, &props.on);
    let latent = use_memo(state.latent(), Clone::clone);
    let reconstruction = use_memo(state.reconstruction(), Clone::clone);
    let operation = state.story.current().map(|current| current.operation.clone());
    let on_cancel = use_callback((operation, on.cancel_operation.clone()), |(), (operation, cancel)| {
        if let Some(operation) = operation {
            cancel.emit(operation.clone());
        }
    });
    let on_method = use_callback(on.attribution.clone(), |method: AttributionMethod, choose| {
        choose.emit(match method {
            AttributionMethod::Occlusion { .. } => AttributionChoice::Occlusion,
            AttributionMethod::GradientTimesInput => AttributionChoice::Gradient,
        });
    });
    let waiting = state.autoencoder().filter(|it| it.state != ModelState::Ready && state.subject.is_none());
    if let Some(autoencoder) = waiting {
        let on_again = {
            let (again, autoencoder) = (on.autoencoder_again.clone(), autoencoder.clone());
            Callback::from(move |()| again.emit(autoencoder.clone()))
        };
        return html! {
            <section class="card view-latent" aria-labelledby="latent-title">
                <header class="card-head">
                    <h2 id="latent-title">{ "Image and latent space" }</h2>
                    <p class="help">{ "opens when the autoencoder has learned to draw digits" }</p>
                </header>
                <div class="card-body">
                    <TrainingCard kind={ModelKind::Autoencoder} name={autoencoder.display_name.clone()}
                        state={autoencoder.state.clone()} viewer={state.catalog.viewer.clone()}
                        creator={autoencoder.creator.clone()} activity={props.activity.clone()}
                        on_cancel={on.cancel_operation.clone()} {on_again} />
                    <Empty title="Here an image will be explained" text="A thousand images like it, drawn around it in latent space, and what the teacher says to each." />
                </div>
            </section>
        };
    }
    let instance = state.instance();
    let attribution = state.attribution.latest_where(|key| Some(&key.instance) == instance.as_ref());
    let blocked = state.blocked();
    // Before the server has said what it has, it is not known what is missing.
    let missing = blocked.clone().filter(|_| state.connection == Connection::Live);
    let opening = state.subject.as_ref().map(|_| missing.unwrap_or_else(|| "Opening the image".into()));
    html! {
        <LatentView names={props.names.clone()} instance={props.instance.clone()} {opening}
            explanation={state.story.current().cloned()} neighbors={state.story.neighbors.all()}
            latent={latent.as_ref().clone().map(Rc::new)} reconstruction={reconstruction.as_ref().clone()}
            draft={state.neighborhood.clone()} attribution={attribution.cloned()}
            attribution_problem={state.attribution.problem()} attribution_method={method(state.attribution_choice)}
            live={state.live.decoded()} busy={state.story.is_running()} stale={state.story.neighbors_are_stale()}
            can_generate={blocked.is_none() && instance.is_some()} {blocked} problem={state.instance_problem()}
            on_draft={on.neighborhood_draft.clone()} on_drag_latent={on.drag.clone()} on_reset_latent={on.reset_latent.clone()}
            on_attribution_method={on_method} on_generate={on.generate.clone()} {on_cancel} on_retry={on.retry_instance.clone()} />
    }
}

fn method(choice: AttributionChoice) -> AttributionMethod {
    match choice {
        AttributionChoice::Occlusion => AttributionMethod::Occlusion { patch_size: 3, stride: 1 },
        AttributionChoice::Gradient => AttributionMethod::GradientTimesInput,
    }
}
