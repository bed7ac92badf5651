//! What the student is asked to be. Only what the chosen solver reads is shown.

use std::rc::Rc;

use domain::{Solver, StudentSpec, Temperature};
use yew::prelude::*;

use super::fields::{COMMON, OF_SOLVERS, SOLVER, untouched};
use crate::components::{box_errors::use_box_errors, draft_boxes::DraftBoxes};

/// What to show.
#[derive(Properties, PartialEq)]
pub(super) struct ControlsProps {
    pub(super) draft: Rc<StudentSpec>,
    /// What the student on the page was asked to be.
    pub(super) fitted: Option<Rc<StudentSpec>>,
    pub(super) can_distill: bool,
    pub(super) on_draft: Callback<StudentSpec>,
    pub(super) on_distill: Callback<()>,
}

/// Boxes and the button that fits again.
#[component]
pub(super) fn Controls(props: &ControlsProps) -> Html {
    let (wrong, on_valid) = use_box_errors();
    let draft = &props.draft;
    let boxes = DraftBoxes {
        draft: draft.clone(),
        defaults: StudentSpec::default(),
        on_draft: props.on_draft.clone(),
        on_valid,
    };
    let of_solver = DraftBoxes { defaults: StudentSpec::of(untouched(draft.solver)), ..boxes.clone() };
    let changed = props.fitted.as_ref().is_none_or(|fitted| **fitted != **draft);
    let on_distill = props.on_distill.reform(|_: MouseEvent| ());
    let hint = match wrong {
        true => "Correct the marked box first",
        false => "Fit a student to the same neighbors with these values",
    };
    html! {
        <div class="controls">
            <div class="fields">
                for field in &COMMON {
                    { of_solver.number(field) }
                }
                { boxes.choice(&SOLVER) }
                for field in &OF_SOLVERS {
                    { of_solver.number(field) }
                }
                <button id="distill" class={classes!("button", (changed && props.can_distill).then_some("primary"))}
                    disabled={!props.can_distill || wrong} title={hint} onclick={on_distill}>{ "Distill" }</button>
            </div>
            if draft.solver == Solver::Ridge && draft.temperature != Temperature::TWO {
                <p class="note quiet">{ "Under ridge, temperature only softens the bars; map and agreement stay." }</p>
            }
        </div>
    }
}
