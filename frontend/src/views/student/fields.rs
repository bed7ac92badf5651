//! The boxes of the student's form: what each says, what it holds, and what a new value does. Pure.

use domain::{Solver, StudentSpec, Temperature};

use crate::components::number_box::NumberRange;

/// Largest whole number that a box keeps exactly.
const MAX_SEED: f64 = 9_007_199_254_740_991.0;

/// One box.
pub(super) struct Field {
    /// Of the element.
    pub(super) id: &'static str,
    /// Above the box.
    pub(super) label: &'static str,
    /// On hover.
    pub(super) help: &'static str,
    /// In the draft.
    pub(super) value: f64,
    /// What reset brings back.
    pub(super) default: f64,
    /// What is allowed.
    pub(super) range: NumberRange,
    /// Puts a new value into a draft.
    pub(super) set: fn(&mut StudentSpec, f64),
}

/// Boxes that every solver reads.
pub(super) fn common_fields(draft: &StudentSpec) -> [Field; 3] {
    let defaults = StudentSpec::default();
    [
        Field {
            id: "temperature",
            label: "Temperature",
            help: match draft.solver {
                Solver::Ridge => {
                    "How much the student is told about the teacher\u{2019}s second thoughts. Under ridge it only \
                     softens the bars: map and agreement stay"
                }
                _ => "How much the student is told about the teacher\u{2019}s second thoughts",
            },
            value: draft.temperature.get(),
            default: defaults.temperature.get(),
            range: NumberRange::real(Temperature::MIN, Temperature::MAX),
            set: |draft, value| draft.temperature = Temperature::new(value).unwrap_or(draft.temperature),
        },
        Field {
            id: "l2",
            label: "L2",
            help: "Penalty on large weights: more makes the map smoother and less exact",
            value: draft.l2,
            default: defaults.l2,
            range: NumberRange::real(1e-6, 100.0),
            set: |draft, value| draft.l2 = value,
        },
        Field {
            id: "instance-weight",
            label: "Own weight",
            help: "How much the image itself counts, as a share of all neighbors",
            value: draft.instance_weight,
            default: defaults.instance_weight,
            range: NumberRange::real(0.0, 10.0),
            set: |draft, value| draft.instance_weight = value,
        },
    ]
}

/// Boxes that only the chosen solver reads. The defaults are those of `Solver::LBFGS` and `Solver::ADAM`.
pub(super) fn solver_fields(solver: Solver) -> Vec<Field> {
    match solver {
        Solver::Ridge => Vec::new(),
        Solver::Lbfgs { iteration_count, tolerance } => vec![
            Field {
                id: "iterations",
                label: "Steps",
                help: "Most steps of the solver",
                value: iteration_count.into(),
                default: 20.0,
                range: NumberRange::whole(1.0, 500.0),
                set: |draft, value| {
                    if let Solver::Lbfgs { iteration_count, .. } = &mut draft.solver {
                        *iteration_count = value as u32;
                    }
                },
            },
            Field {
                id: "tolerance",
                label: "Tolerance",
                help: "Stops when the loss falls by less than this share",
                value: tolerance,
                default: 1e-7,
                range: NumberRange::real(0.0, 0.1),
                set: |draft, value| {
                    if let Solver::Lbfgs { tolerance, .. } = &mut draft.solver {
                        *tolerance = value;
                    }
                },
            },
        ],
        Solver::Adam { epoch_count, batch_size, learning_rate, seed } => vec![
            Field {
                id: "epochs",
                label: "Epochs",
                help: "How often the student goes through all neighbors",
                value: epoch_count.into(),
                default: 50.0,
                range: NumberRange::whole(1.0, 500.0),
                set: |draft, value| {
                    if let Solver::Adam { epoch_count, .. } = &mut draft.solver {
                        *epoch_count = value as u32;
                    }
                },
            },
            Field {
                id: "batch",
                label: "Batch",
                help: "Neighbors a step",
                value: batch_size.into(),
                default: 64.0,
                range: NumberRange::whole(1.0, 4_096.0),
                set: |draft, value| {
                    if let Solver::Adam { batch_size, .. } = &mut draft.solver {
                        *batch_size = value as u32;
                    }
                },
            },
            Field {
                id: "rate",
                label: "Rate",
                help: "Learning rate: how far each step goes",
                value: learning_rate,
                default: 0.01,
                range: NumberRange::above(0.0, 1.0),
                set: |draft, value| {
                    if let Solver::Adam { learning_rate, .. } = &mut draft.solver {
                        *learning_rate = value;
                    }
                },
            },
            Field {
                id: "student-seed",
                label: "Seed",
                help: "Order of the neighbors",
                value: seed as f64,
                default: 7.0,
                range: NumberRange::whole(0.0, MAX_SEED),
                set: |draft, value| {
                    if let Solver::Adam { seed, .. } = &mut draft.solver {
                        *seed = value as u64;
                    }
                },
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(solver: Solver) -> Vec<Field> {
        let draft = StudentSpec { solver, ..Default::default() };
        common_fields(&draft).into_iter().chain(solver_fields(solver)).collect()
    }

    #[test]
    fn the_defaults_of_the_boxes_are_the_domains() {
        for solver in [Solver::Ridge, Solver::LBFGS, Solver::ADAM] {
            for field in fields(solver) {
                assert_eq!(field.value, field.default, "{}", field.id);
                assert_eq!(field.range.parse(&field.default.to_string()), Ok(field.default), "{}", field.id);
            }
        }
    }

    #[test]
    fn every_box_changes_the_draft_and_what_it_allows_the_domain_allows() {
        for solver in [Solver::Ridge, Solver::LBFGS, Solver::ADAM] {
            for field in fields(solver) {
                for value in [field.range.max, field.range.min + f64::from(field.range.above_min) * 0.5] {
                    let mut draft = StudentSpec { solver, ..Default::default() };
                    (field.set)(&mut draft, value);
                    assert_eq!(draft.validate(), Ok(()), "{} = {value}", field.id);
                    assert_ne!(draft, StudentSpec { solver, ..Default::default() }, "{} = {value}", field.id);
                }
            }
        }
    }
}
