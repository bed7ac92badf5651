//! What the student is asked to be. Only what the chosen solver reads is shown.

use std::rc::Rc;

use domain::{Solver, StudentSpec, Temperature};
use yew::prelude::*;

use super::fields::{Field, common_fields, solver_fields};
use crate::components::{box_errors::use_box_errors, number_box::NumberBox, select_box::SelectBox};

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
    let number_box = |field: Field| {
        let (draft, on_draft, set) = (draft.clone(), props.on_draft.clone(), field.set);
        let on_change = Callback::from(move |value: f64| {
            let mut changed = (*draft).clone();
            set(&mut changed, value);
            on_draft.emit(changed);
        });
        html! {
            <NumberBox key={field.id} id={field.id} label={field.label} help={field.help} value={field.value}
                default={field.default} range={field.range} {on_change} on_valid={on_valid.clone()} />
        }
    };
    let on_solver = {
        let (draft, on_draft) = (draft.clone(), props.on_draft.clone());
        Callback::from(move |index: usize| {
            let solver = [Solver::Ridge, Solver::LBFGS, Solver::ADAM][index.min(2)];
            on_draft.emit(StudentSpec { solver, ..(*draft).clone() });
        })
    };
    let solver_index = match draft.solver {
        Solver::Ridge => 0,
        Solver::Lbfgs { .. } => 1,
        Solver::Adam { .. } => 2,
    };
    let changed = props.fitted.as_ref().is_none_or(|fitted| **fitted != **draft);
    let on_distill = props.on_distill.reform(|_: MouseEvent| ());
    let hint = match wrong {
        true => "Correct the marked box first",
        false => "Fit a student to the same neighbors with these values",
    };
    html! {
        <div class="controls">
            <div class="fields">
                for field in common_fields(draft) {
                    { number_box(field) }
                }
                <SelectBox id="solver" label="Solver"
                    help="Ridge: exact and instant. L-BFGS and Adam fit the soft answers step by step"
                    options={vec!["Ridge".into(), "L-BFGS".into(), "Adam".into()]}
                    selected={solver_index} default={Some(0)} on_change={on_solver} />
                for field in solver_fields(draft.solver) {
                    { number_box(field) }
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
