//! The boxes of the student's form: what each says, what it reads from a draft and what a new value does. Pure.

use domain::{Solver, StudentSpec, Temperature};

use crate::components::{
    draft_boxes::{ChoiceField, NumberField},
    number_box::NumberRange,
};

/// Boxes that every solver reads.
pub(super) const COMMON: [NumberField<StudentSpec>; 3] = [
    NumberField {
        id: "temperature",
        label: "Temperature",
        help: "How much the student is told about the teacher\u{2019}s second thoughts. Under ridge it only softens \
               the bars: map and agreement stay",
        range: NumberRange::real(Temperature::MIN, Temperature::MAX),
        get: |spec| Some(spec.temperature.get()),
        set: |spec, value| spec.temperature = Temperature::new(value).unwrap_or(spec.temperature),
    },
    NumberField {
        id: "l2",
        label: "L2",
        help: "Penalty on large weights: more makes the map smoother and less exact",
        range: NumberRange::real(1e-6, 100.0),
        get: |spec| Some(spec.l2),
        set: |spec, value| spec.l2 = value,
    },
    NumberField {
        id: "instance-weight",
        label: "Own weight",
        help: "How much the image itself counts, as a share of all neighbors",
        range: NumberRange::real(0.0, 10.0),
        get: |spec| Some(spec.instance_weight),
        set: |spec, value| spec.instance_weight = value,
    },
];

/// How the student is fitted.
pub(super) const SOLVER: ChoiceField<StudentSpec, Solver> = ChoiceField {
    id: "solver",
    label: "Solver",
    help: "Ridge: exact and instant. L-BFGS and Adam fit the soft answers step by step",
    options: &[(Solver::Ridge, "Ridge"), (Solver::LBFGS, "L-BFGS"), (Solver::ADAM, "Adam")],
    get: |spec| untouched(spec.solver),
    set: StudentSpec::set_solver,
};

/// A number that one solver reads and the others do not have.
macro_rules! of_solver {
    ($solver:ident, $number:ident as $kind:ty, $id:literal, $label:literal, $help:literal, $range:expr) => {
        NumberField {
            id: $id,
            label: $label,
            help: $help,
            range: $range,
            get: |spec| match spec.solver {
                Solver::$solver { $number, .. } => Some($number as f64),
                _ => None,
            },
            set: |spec, value| {
                if let Solver::$solver { $number, .. } = &mut spec.solver {
                    *$number = value as $kind;
                }
            },
        }
    };
}

/// Boxes that only the chosen solver reads.
pub(super) const OF_SOLVERS: [NumberField<StudentSpec>; 6] = [
    of_solver!(
        Lbfgs,
        iteration_count as u32,
        "iterations",
        "Steps",
        "Most steps of the solver",
        NumberRange::whole(1.0, 500.0)
    ),
    of_solver!(
        Lbfgs,
        tolerance as f64,
        "tolerance",
        "Tolerance",
        "Stops when the loss falls by less than this share",
        NumberRange::real(0.0, 0.1)
    ),
    of_solver!(
        Adam,
        epoch_count as u32,
        "epochs",
        "Epochs",
        "How often the student goes through all neighbors",
        NumberRange::whole(1.0, 500.0)
    ),
    of_solver!(Adam, batch_size as u32, "batch", "Batch", "Neighbors a step", NumberRange::whole(1.0, 4_096.0)),
    of_solver!(
        Adam,
        learning_rate as f64,
        "rate",
        "Rate",
        "Learning rate: how far each step goes",
        NumberRange::above(0.0, 1.0)
    ),
    of_solver!(Adam, seed as u64, "student-seed", "Seed", "Order of the neighbors", NumberRange::SEED),
];

/// The same solver with the numbers it starts with.
pub(super) fn untouched(solver: Solver) -> Solver {
    match solver {
        Solver::Ridge => Solver::Ridge,
        Solver::Lbfgs { .. } => Solver::LBFGS,
        Solver::Adam { .. } => Solver::ADAM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::draft_boxes::check_fields;

    #[test]
    fn the_boxes_allow_what_the_server_allows_and_no_more() {
        for (solver, _) in SOLVER.options {
            let fields: Vec<_> = COMMON.iter().chain(&OF_SOLVERS).collect();
            let defaults = StudentSpec::of(*solver);
            check_fields(&fields, &defaults, |spec| spec.validate().is_ok());
        }
    }

    #[test]
    fn a_solver_shows_only_what_it_reads() {
        let shown = |solver: Solver| -> Vec<&str> {
            let spec = StudentSpec { solver, ..Default::default() };
            OF_SOLVERS.iter().filter(|field| (field.get)(&spec).is_some()).map(|field| field.id).collect()
        };
        assert!(shown(Solver::Ridge).is_empty());
        assert_eq!(shown(Solver::LBFGS), ["iterations", "tolerance"]);
        assert_eq!(shown(Solver::ADAM), ["epochs", "batch", "rate", "student-seed"]);
    }
}
