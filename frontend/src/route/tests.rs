//! Addresses bring back what they were made from, and nothing else breaks them.

use domain::{Anchoring, Distribution, LatentRange, Solver, Temperature};
use proptest::prelude::*;

use super::*;

fn selections() -> impl Strategy<Value = MatrixSelection> {
    prop_oneof![
        Just(MatrixSelection::None),
        (0u32..10, 0u32..10).prop_map(|(g, p)| MatrixSelection::Cell { gold: Label(g), predicted: Label(p) }),
        (0u32..10).prop_map(|g| MatrixSelection::Row(Label(g))),
        (0u32..10).prop_map(|p| MatrixSelection::Column(Label(p))),
    ]
}

fn neighborhoods() -> impl Strategy<Value = NeighborhoodSpec> {
    let band = (-20f32..0.0, 0f32..20.0);
    let center = prop::option::of(prop::collection::vec(-20f32..20.0, 1..12));
    (32usize..=10_000, 0.001f32..5.0, any::<u64>(), any::<bool>(), any::<bool>(), band, center).prop_map(
        |(neighbor_count, radius, seed, gaussian, anchored, (low, high), center)| NeighborhoodSpec {
            neighbor_count,
            radius,
            seed,
            distribution: if gaussian { Distribution::Gaussian } else { Distribution::Uniform },
            anchoring: if anchored { Anchoring::Residual } else { Anchoring::None },
            ranges: vec![LatentRange { dimension: 3, low, high }, LatentRange { dimension: 0, low: -high, high }],
            center,
        },
    )
}

fn solvers() -> impl Strategy<Value = Solver> {
    prop_oneof![
        Just(Solver::Ridge),
        (1u32..=500, 0f64..0.1).prop_map(|(iteration_count, tolerance)| Solver::Lbfgs { iteration_count, tolerance }),
        (1u32..=500, 1u32..=4_096, 1e-6f64..1.0, any::<u64>()).prop_map(
            |(epoch_count, batch_size, learning_rate, seed)| Solver::Adam {
                epoch_count,
                batch_size,
                learning_rate,
                seed
            }
        ),
    ]
}

fn students() -> impl Strategy<Value = StudentSpec> {
    (solvers(), 0.05f64..100.0, 1e-6f64..100.0, 0f64..10.0, prop::option::of(32usize..10_000)).prop_map(
        |(solver, temperature, l2, instance_weight, neighbor_limit)| StudentSpec {
            solver,
            temperature: Temperature::new(temperature).unwrap(),
            l2,
            instance_weight,
            neighbor_limit,
            ranges: vec![LatentRange { dimension: 1, low: -0.25, high: 1e-3 }],
        },
    )
}

proptest! {
    #[test]
    fn an_address_brings_back_what_it_was_made_from(
        ids in (prop::option::of("[a-z0-9][a-z0-9_-]{0,20}"), prop::option::of("[a-z0-9][a-z0-9_-]{0,20}")),
        image in prop::option::of("train-[0-9]{1,5}"),
        selection in selections(), order in 0usize..3, measure in 0usize..3, gradient in any::<bool>(),
        neighborhood in neighborhoods(), student in students(),
    ) {
        let route = Route {
            teacher: ids.0,
            autoencoder: ids.1,
            selection,
            image,
            order: ExampleOrder::ALL[order],
            measure: [Measure::Counts, Measure::RowShare, Measure::ColumnShare][measure],
            attribution: if gradient { AttributionChoice::Gradient } else { AttributionChoice::Occlusion },
            neighborhood,
            student,
        };
        prop_assert_eq!(Route::parse(&route.to_query()), route);
    }

    #[test]
    fn any_text_is_an_address(text in ".{0,200}") {
        let route = Route::parse(&text);
        prop_assert_eq!(Route::parse(&route.to_query()), route);
    }
}

#[test]
fn a_newcomers_address_is_bare() {
    assert_eq!(Route::default().to_query(), "");
}

#[test]
fn what_is_wrong_in_an_address_is_ignored_and_the_rest_is_read() {
    let route = Route::parse("?cell=3:x&image=../secret&radius=99&temperature=0&seed=5&order=margin");
    let expected = Route {
        order: ExampleOrder::Margin,
        neighborhood: NeighborhoodSpec { seed: 5, ..Default::default() },
        ..Default::default()
    };
    assert_eq!(route, expected);
}

#[test]
fn a_penalty_that_an_address_leaves_out_is_the_solvers() {
    let student = |query| Route::parse(query).student;
    assert_eq!(student("?solver=lbfgs:20:1e-7"), StudentSpec::of(Solver::LBFGS));
    assert_eq!(student("?l2=0.003&solver=lbfgs:20:1e-7").l2, 0.003);
    assert_eq!(student("?solver=none"), StudentSpec::default());
}

#[test]
fn an_address_that_was_encoded_on_its_way_is_read() {
    let cell = MatrixSelection::Cell { gold: Label(3), predicted: Label(5) };
    assert_eq!(Route::parse("?cell=3%3A5").selection, cell);
}

#[test]
fn only_a_change_of_selection_is_a_step_back() {
    let start = Route::default();
    let chosen = Route { image: Some("train-1".to_owned()), ..Default::default() };
    let toggled = Route { measure: Measure::RowShare, ..Default::default() };
    assert!(chosen.is_step_from(&start) && !toggled.is_step_from(&start));
}
