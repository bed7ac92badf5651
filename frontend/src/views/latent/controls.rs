//! What the neighborhood is asked to be, and the one button that acts.

use std::rc::Rc;

use domain::NeighborhoodSpec;
use yew::prelude::*;

use super::fields::{ANCHORED, COUNT, RADIUS, SEED, SHAPE};
use crate::components::{box_errors::use_box_errors, draft_boxes::DraftBoxes, progress_line::ProgressLine};

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
    let boxes = DraftBoxes {
        draft: props.draft.clone(),
        defaults: NeighborhoodSpec::default(),
        on_draft: props.on_draft.clone(),
        on_valid,
    };
    let blocked = if wrong { Some(AttrValue::from("Correct the marked box first.")) } else { props.blocked.clone() };
    let on_generate = props.on_generate.reform(|_: MouseEvent| ());
    let on_cancel = props.on_cancel.reform(|_: MouseEvent| ());
    html! {
        <div class="controls">
            <div class="fields">
                { boxes.number(&COUNT) }
                { boxes.number(&RADIUS) }
                { boxes.choice(&SHAPE) }
                { boxes.number(&SEED) }
                { boxes.choice(&ANCHORED) }
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
