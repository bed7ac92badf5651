//! What the student is asked to be. Only what the chosen solver reads is shown.

use std::rc::Rc;

use domain::{Solver, StudentSpec, Temperature};
use yew::prelude::*;

use crate::components::{
    box_errors::use_box_errors,
    number_box::{NumberBox, NumberRange},
    select_box::SelectBox,
};

/// Largest whole number that a box keeps exactly.
const MAX_SEED: f64 = 9_007_199_254_740_991.0;

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
    let defaults = StudentSpec::default();
    let change = |change: fn(&mut StudentSpec, f64)| {
        let (draft, on_draft) = (draft.clone(), props.on_draft.clone());
        Callback::from(move |value: f64| {
            let mut changed = (*draft).clone();
            change(&mut changed, value);
            on_draft.emit(changed);
        })
    };
    let number = |id: &'static str,
                  label: &'static str,
                  help: &'static str,
                  value: f64,
                  default: f64,
                  range: NumberRange,
                  set: fn(&mut StudentSpec, f64)| {
        html! { <NumberBox key={id} {id} {label} {help} {value} {default} {range} on_change={change(set)} on_valid={on_valid.clone()} /> }
    };
    let on_solver = {
        let (draft, on_draft) = (draft.clone(), props.on_draft.clone());
        Callback::from(move |index: usize| {
            let solver = [Solver::Ridge, Solver::LBFGS, Solver::ADAM][index.min(2)];
            on_draft.emit(StudentSpec { solver, ..(*draft).clone() });
        })
    };
    let solver_boxes = match draft.solver {
        Solver::Ridge => Html::default(),
        Solver::Lbfgs { iteration_count, tolerance } => html! {
            <>
                { number("iterations", "Steps", "Most steps of the solver", iteration_count.into(), 20.0, NumberRange::whole(1.0, 500.0),
                    |draft, value| if let Solver::Lbfgs { iteration_count, .. } = &mut draft.solver { *iteration_count = value as u32 }) }
                { number("tolerance", "Tolerance", "Stops when the loss falls by less than this share", tolerance, 1e-7, NumberRange::real(0.0, 0.1),
                    |draft, value| if let Solver::Lbfgs { tolerance, .. } = &mut draft.solver { *tolerance = value }) }
            </>
        },
        Solver::Adam { epoch_count, batch_size, learning_rate, seed } => html! {
            <>
                { number("epochs", "Epochs", "How often the student goes through all neighbors", epoch_count.into(), 50.0, NumberRange::whole(1.0, 500.0),
                    |draft, value| if let Solver::Adam { epoch_count, .. } = &mut draft.solver { *epoch_count = value as u32 }) }
                { number("batch", "Batch", "Neighbors a step", batch_size.into(), 64.0, NumberRange::whole(1.0, 4_096.0),
                    |draft, value| if let Solver::Adam { batch_size, .. } = &mut draft.solver { *batch_size = value as u32 }) }
                { number("rate", "Rate", "Learning rate: how far each step goes", learning_rate, 0.01, NumberRange::above(0.0, 1.0),
                    |draft, value| if let Solver::Adam { learning_rate, .. } = &mut draft.solver { *learning_rate = value }) }
                { number("student-seed", "Seed", "Order of the neighbors", seed as f64, 7.0, NumberRange::whole(0.0, MAX_SEED),
                    |draft, value| if let Solver::Adam { seed, .. } = &mut draft.solver { *seed = value as u64 }) }
            </>
        },
    };
    let solver_index = match draft.solver {
        Solver::Ridge => 0,
        Solver::Lbfgs { .. } => 1,
        Solver::Adam { .. } => 2,
    };
    let changed = props.fitted.as_ref().is_none_or(|fitted| **fitted != **draft);
    let on_distill = props.on_distill.reform(|_: MouseEvent| ());
    let temperature_help = if draft.solver == Solver::Ridge {
        "How much the student is told about the teacher's second thoughts. Under ridge it only softens the bars: map and agreement stay"
    } else {
        "How much the student is told about the teacher's second thoughts"
    };
    html! {
        <div class="controls">
            <div class="fields">
                { number("temperature", "Temperature", temperature_help, draft.temperature.get(), defaults.temperature.get(),
                    NumberRange::real(Temperature::MIN, Temperature::MAX),
                    |draft, value| draft.temperature = Temperature::new(value).unwrap_or(draft.temperature)) }
                { number("l2", "L2", "Penalty on large weights: more makes the map smoother and less exact", draft.l2, defaults.l2,
                    NumberRange::real(1e-6, 100.0), |draft, value| draft.l2 = value) }
                { number("instance-weight", "Own weight", "How much the image itself counts, as a share of all neighbors", draft.instance_weight, defaults.instance_weight,
                    NumberRange::real(0.0, 10.0), |draft, value| draft.instance_weight = value) }
                <SelectBox id="solver" label="Solver" help="Ridge: exact and instant. L-BFGS and Adam fit the soft answers step by step"
                    options={vec!["Ridge".into(), "L-BFGS".into(), "Adam".into()]} selected={solver_index} default={Some(0)} on_change={on_solver} />
                { solver_boxes }
                <button id="distill" class={classes!("button", (changed && props.can_distill).then_some("primary"))} disabled={!props.can_distill || wrong}
                    title={if wrong { "Correct the marked box first" } else { "Fit a student to the same neighbors with these values" }} onclick={on_distill}>{ "Distill" }</button>
            </div>
            if draft.solver == Solver::Ridge && draft.temperature != defaults.temperature {
                <p class="note quiet">{ "Under ridge, temperature only softens the bars; map and agreement stay." }</p>
            }
        </div>
    }
}
