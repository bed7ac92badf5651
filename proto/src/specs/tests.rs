//! What a caller leaves out has its default; what nobody knows has none.

use super::*;

fn read(solver: Option<raw::student_spec::Solver>, l2: Option<f64>) -> StudentSpec {
    raw::StudentSpec { solver, l2, ..Default::default() }.try_into().unwrap()
}

#[test]
fn what_a_student_leaves_out_is_its_solvers_default() {
    let lbfgs = raw::student_spec::Solver::Lbfgs(raw::LbfgsSolver::default());
    let adam = raw::student_spec::Solver::Adam(raw::AdamSolver::default());
    assert_eq!(read(None, None), StudentSpec::of(Solver::Ridge));
    assert_eq!(read(Some(lbfgs), None), StudentSpec::of(Solver::LBFGS));
    assert_eq!(read(Some(adam), None), StudentSpec::of(Solver::ADAM));
    assert_eq!((read(None, None).l2, read(Some(lbfgs), None).l2, read(Some(adam), None).l2), (3e-3, 1e-3, 1e-3));
    assert_eq!((read(None, None).instance_weight, read(Some(lbfgs), None).instance_weight), (1.0, 0.1));
}

#[test]
fn a_penalty_that_is_given_stays_and_travels_as_it_is() {
    let lbfgs = raw::student_spec::Solver::Lbfgs(raw::LbfgsSolver::default());
    let spec = read(Some(lbfgs), Some(3e-3));
    assert_eq!(spec.l2, 3e-3);
    assert_eq!(StudentSpec::try_from(raw::StudentSpec::from(&spec)), Ok(spec));
}

#[test]
fn an_unknown_number_of_an_enumeration_is_refused_with_the_known_ones_and_zero_is_the_default() {
    let defaults = NeighborhoodSpec::try_from(raw::NeighborhoodSpec::default());
    assert_eq!(defaults, Ok(NeighborhoodSpec::default()));
    let unknown = raw::NeighborhoodSpec { distribution: 3, anchoring: -7, radius: Some(-1.0), ..Default::default() };
    let Err(Error::InvalidFields(violations)) = NeighborhoodSpec::try_from(unknown) else { panic!("taken") };
    let told: Vec<_> = violations.iter().map(|each| (each.field.as_str(), each.description.as_str())).collect();
    assert_eq!(
        told,
        [
            ("distribution", "3 is not one of DISTRIBUTION_UNIFORM (1), DISTRIBUTION_GAUSSIAN (2)"),
            ("anchoring", "-7 is not one of ANCHORING_RESIDUAL (1), ANCHORING_NONE (2)"),
            ("radius", "-1 is not above 0 and at most 5"),
        ]
    );
}
