//! Latent space as parallel axes, with a live picture of where the handles stand.

use std::rc::Rc;

use domain::{Label, Latent, LatentRange, Neighbor, NeighborhoodSpec};
use yew::prelude::*;

use super::LiveDecode;
use crate::{
    components::{
        chosen::label_name,
        format::{count, short_percent},
        mark::{MarkedLabel, Role},
        shared::Shared,
        toggle::Toggle,
    },
    plots::{
        parallel_coordinates::{ParallelCoordinates, corner},
        pixel_image::PixelImage,
    },
};

/// How to read and use the plot.
const HELP: &str = "Each axis is one latent dimension. A round handle moves the image along it; the bars at a band\u{2019}s \
                    ends set where neighbors are drawn; a double click gives the band back to the radius.";
/// What the two scales are.
const SCALE_HELP: &str =
    "Axes in standard deviations of the prior: as wide as the values, or \u{b1}3.5 and more where values lie beyond";

/// What to show.
#[derive(Properties, PartialEq)]
pub(super) struct LatentPanelProps {
    pub(super) names: Rc<Vec<String>>,
    pub(super) gold: Option<Label>,
    pub(super) predicted: Option<Label>,
    pub(super) latent: Option<Rc<Latent>>,
    pub(super) neighbors: Shared<Vec<Neighbor>>,
    pub(super) stale: bool,
    pub(super) draft: Rc<NeighborhoodSpec>,
    pub(super) live: Option<Rc<LiveDecode>>,
    pub(super) focus: Option<Label>,
    pub(super) hovered: Option<usize>,
    pub(super) picked: Option<usize>,
    pub(super) on_hover: Callback<Option<usize>>,
    pub(super) on_pick: Callback<usize>,
    pub(super) on_draft: Callback<NeighborhoodSpec>,
    pub(super) on_drag_latent: Callback<Vec<f32>>,
    pub(super) on_reset_latent: Callback<()>,
}

/// Title, live picture, plot.
#[component]
pub(super) fn LatentPanel(props: &LatentPanelProps) -> Html {
    let fit = use_state_eq(|| true);
    let draft = &props.draft;
    let on_center = {
        let (draft, on_draft, on_drag) = (draft.clone(), props.on_draft.clone(), props.on_drag_latent.clone());
        Callback::from(move |center: Vec<f32>| {
            on_draft.emit(NeighborhoodSpec { center: Some(center.clone()), ..(*draft).clone() });
            on_drag.emit(center);
        })
    };
    let on_ranges = {
        let (draft, on_draft) = (draft.clone(), props.on_draft.clone());
        Callback::from(move |ranges: Vec<LatentRange>| on_draft.emit(NeighborhoodSpec { ranges, ..(*draft).clone() }))
    };
    let on_reset = {
        let (draft, on_draft, on_reset) = (draft.clone(), props.on_draft.clone(), props.on_reset_latent.clone());
        Callback::from(move |_: MouseEvent| {
            on_draft.emit(NeighborhoodSpec { center: None, ranges: Vec::new(), ..(*draft).clone() });
            on_reset.emit(());
        })
    };
    let moved = draft.center.is_some() || !draft.ranges.is_empty();
    let fit_now = *fit;
    html! {
        <div class="latent">
            <div class="section-head">
                <h3>{ "Latent space" }</h3>
                <p class="help" title={HELP}>{ "drag a handle to move, a band\u{2019}s ends to widen" }</p>
                <span class="section-end">
                    <button class={classes!("link", (!moved).then_some("is-hidden"))} disabled={!moved}
                        onclick={on_reset}
                        title="Handles and bands back to where the image lies">{ "Reset" }</button>
                    <Toggle label="Scale of the axes" options={vec!["Fit".into(), "\u{b1}3.5".into()]}
                        selected={usize::from(!fit_now)} help={SCALE_HELP}
                        on_change={move |index| fit.set(index == 0)} />
                </span>
            </div>
            if let Some(latent) = &props.latent {
                <div class={classes!("latent-plot", props.stale.then_some("dim"))}>
                    <ParallelCoordinates neighbors={props.neighbors.clone()} names={props.names.clone()}
                        gold={props.gold}
                        predicted={props.predicted} mean={Rc::new(latent.mean.clone())}
                        center={Rc::new(handles(draft, latent))}
                        radius={draft.radius} ranges={Rc::new(draft.ranges.clone())} fit={fit_now} focus={props.focus}
                        hovered={props.hovered.or(props.picked)} on_hover={props.on_hover.clone()}
                        on_pick={props.on_pick.clone()}
                        {on_center} {on_ranges} />
                    { preview(props) }
                </div>
            } else {
                <div class="latent-plot is-waiting quiet">
                    { "Where the image lies is shown here as soon as it is known." }
                </div>
            }
        </div>
    }
}

/// The dragged point decoded, else the picked neighbor, with the teacher's answer; out of the flow.
fn preview(props: &LatentPanelProps) -> Html {
    let answer = |soft_labels: &domain::SoftLabels| {
        let label = soft_labels.predicted_label();
        let role = Role::of(label, props.gold, props.predicted);
        html! {
            <>
                <MarkedLabel {role} name={label_name(&props.names, label)} />
                { format!(" {}", short_percent(soft_labels.confidence())) }
            </>
        }
    };
    let line = props.latent.as_ref().map(|latent| handles(&props.draft, latent)).unwrap_or_default();
    let class = classes!("preview", corner::freest(&line)[0].class());
    if let (Some(live), Some(_)) = (&props.live, &props.draft.center) {
        return html! {
            <div {class} role="status">
                <PixelImage image={live.image.clone()} alt="The image at the dragged point" />
                <span class="tabular"><b>{ "Dragged" }</b><br />
                    if let Some(soft_labels) = &live.soft_labels { { answer(soft_labels) } } else { { "reading" } }
                </span>
            </div>
        };
    }
    let Some(neighbor) = props.picked.and_then(|index| props.neighbors.get(index)) else { return Html::default() };
    html! {
        <div {class} role="status">
            if let Some(image) = &neighbor.image {
                <PixelImage image={image.clone()} alt="The picked neighbor" />
            }
            <span class="tabular">
                <b>{ format!("Neighbor {}", count(neighbor.index + 1)) }</b><br />{ answer(&neighbor.soft_labels) }
            </span>
        </div>
    }
}

/// Where the handles are: a center that was dragged, unless it belongs to another autoencoder.
fn handles(draft: &NeighborhoodSpec, latent: &Latent) -> Vec<f32> {
    let dragged = draft.center.as_ref().filter(|center| center.len() == latent.dimension_count());
    dragged.unwrap_or(&latent.mean).clone()
}
