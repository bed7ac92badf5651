//! What the neighborhood is asked to be, and the one button that acts.

use std::rc::Rc;

use domain::{Anchoring, Distribution, NeighborhoodSpec};
use yew::prelude::*;

use crate::components::{
    box_errors::use_box_errors,
    number_box::{NumberBox, NumberRange},
    progress_line::ProgressLine,
    select_box::SelectBox,
};

/// Largest whole number that a box keeps exactly.
const MAX_SEED: f64 = 9_007_199_254_740_991.0;

/// In the order of their box.
const SHAPES: [Distribution; 2] = [Distribution::Uniform, Distribution::Gaussian];
/// In the order of their box.
const ANCHORINGS: [Anchoring; 2] = [Anchoring::Residual, Anchoring::None];

/// What to show.
#[derive(Properties, PartialEq)]
pub(super) struct ControlsProps {
    pub(super) draft: Rc<NeighborhoodSpec>,
    pub(super) busy: bool,
    pub(super) can_generate: bool,
    pub(super) blocked: Option<AttrValue>,
    /// Share and words, while busy.
    pub(super) progress: Option<(Option<f64>, AttrValue)>,
    pub(super) on_draft: Callback<NeighborhoodSpec>,
    pub(super) on_generate: Callback<()>,
    pub(super) on_cancel: Callback<()>,
}

/// Five boxes, a button, a line of progress.
#[component]
pub(super) fn Controls(props: &ControlsProps) -> Html {
    let (wrong, on_valid) = use_box_errors();
    let draft = &props.draft;
    let defaults = NeighborhoodSpec::default();
    let number = |change: fn(&mut NeighborhoodSpec, f64)| {
        let (draft, on_draft) = (draft.clone(), props.on_draft.clone());
        Callback::from(move |value: f64| {
            let mut changed = (*draft).clone();
            change(&mut changed, value);
            on_draft.emit(changed);
        })
    };
    let choice = |change: fn(&mut NeighborhoodSpec, usize)| {
        let (draft, on_draft) = (draft.clone(), props.on_draft.clone());
        Callback::from(move |index: usize| {
            let mut changed = (*draft).clone();
            change(&mut changed, index);
            on_draft.emit(changed);
        })
    };
    let blocked = if wrong { Some(AttrValue::from("Correct the marked box first.")) } else { props.blocked.clone() };
    let on_generate = props.on_generate.reform(|_: MouseEvent| ());
    let on_cancel = props.on_cancel.reform(|_: MouseEvent| ());
    let counts =
        NumberRange::whole(NeighborhoodSpec::MIN_NEIGHBOR_COUNT as f64, NeighborhoodSpec::MAX_NEIGHBOR_COUNT as f64);
    html! {
        <div class="controls">
            <div class="fields">
                <NumberBox id="neighbor-count" label="Neighbors"
                    help="How many images are made around this one; more is slower and steadier"
                    value={draft.neighbor_count as f64} default={defaults.neighbor_count as f64} range={counts}
                    on_change={number(|draft, value| draft.neighbor_count = value as usize)}
                    on_valid={on_valid.clone()} />
                <NumberBox id="radius" label="Radius"
                    help="How far from the image, in standard deviations of the latent space; small is more alike"
                    value={narrow(draft.radius)} default={narrow(defaults.radius)}
                    range={NumberRange::above(0.0, f64::from(NeighborhoodSpec::MAX_RADIUS))}
                    on_change={number(|draft, value| draft.radius = value as f32)} on_valid={on_valid.clone()} />
                <SelectBox id="shape" label="Shape"
                    help="Uniform: anywhere within the radius. Gaussian: mostly near, some farther"
                    options={vec!["Uniform".into(), "Gaussian".into()]} default={Some(0)}
                    selected={usize::from(draft.distribution == Distribution::Gaussian)}
                    on_change={choice(|draft, index| draft.distribution = SHAPES[index.min(1)])}
                    />
                <NumberBox id="seed" label="Seed"
                    help="Another number draws other neighbors; the same one draws the same"
                    value={draft.seed as f64} default={defaults.seed as f64} range={NumberRange::whole(0.0, MAX_SEED)}
                    on_change={number(|draft, value| draft.seed = value as u64)} {on_valid} />
                <SelectBox id="anchored" label="Anchored"
                    help="Yes: neighbors keep what the autoencoder leaves out of this image, so they surround the \
                        image itself"
                    options={vec!["yes".into(), "no".into()]} default={Some(0)}
                    selected={usize::from(draft.anchoring == Anchoring::None)}
                    on_change={choice(|draft, index| draft.anchoring = ANCHORINGS[index.min(1)])}
                    />
            </div>
            <div class="act">
                <button id="generate" class="button primary" disabled={!props.can_generate || wrong || props.busy}
                    onclick={on_generate}>
                    { "Generate and distill" }
                </button>
                if props.busy {
                    <button id="cancel" class="button" onclick={on_cancel}>{ "Stop" }</button>
                }
                if let Some((fraction, words)) = &props.progress {
                    <ProgressLine fraction={*fraction} words={words.clone()} />
                } else if let Some(blocked) = blocked {
                    <span class="quiet">{ blocked }</span>
                }
            </div>
        </div>
    }
}

/// An `f32` as the shortest number that people typed, not as its binary expansion.
fn narrow(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_radius_reads_as_it_was_typed() {
        assert_eq!(narrow(0.1), 0.1);
        assert_eq!(narrow(0.375), 0.375);
    }
}
