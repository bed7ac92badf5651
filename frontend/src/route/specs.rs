//! The drafts of the two views as parameters of an address: `radius=0.7&band=3:-1:0.5&solver=lbfgs:20:1e-7`.

use std::{fmt::Display, str::FromStr};

use domain::{
    Anchoring, Distribution, LatentRange, NeighborhoodSpec, Result, Solver, StudentSpec, Temperature, neighborhood,
};

type Pairs<'a> = Vec<(&'a str, String)>;

/// Reads what belongs to a neighborhood. A parameter that is out of range leaves its default.
pub(super) fn neighborhood(pairs: &[(String, String)]) -> NeighborhoodSpec {
    read(
        pairs,
        NeighborhoodSpec::default(),
        |spec| spec.validate(None),
        |spec, key, value| match key {
            "neighbors" => set(&mut spec.neighbor_count, value.parse()),
            "radius" => set(&mut spec.radius, value.parse()),
            "seed" => set(&mut spec.seed, value.parse()),
            "shape" if value == "gaussian" => spec.distribution = Distribution::Gaussian,
            "anchored" if value == "no" => spec.anchoring = Anchoring::None,
            "band" => set_some(&mut spec.ranges, ranges(value)),
            "center" => set_some(&mut spec.center, numbers(value, ',').map(Some)),
            _ => {}
        },
    )
}

/// Reads what belongs to a student, by the same rule. What is not there has the solver's default, so the
/// solver is read first, wherever it stands.
pub(super) fn student(pairs: &[(String, String)]) -> StudentSpec {
    let chosen = read(pairs, StudentSpec::default(), StudentSpec::validate, |spec, key, value| {
        if key == "solver" {
            set_some(&mut spec.solver, solver(value));
        }
    });
    read(pairs, StudentSpec::of(chosen.solver), StudentSpec::validate, |spec, key, value| match key {
        "temperature" => {
            set_some(&mut spec.temperature, value.parse().ok().and_then(|t| Temperature::new(t).ok()));
        }
        "l2" => set(&mut spec.l2, value.parse()),
        "own" => set(&mut spec.instance_weight, value.parse()),
        "first" => set_some(&mut spec.neighbor_limit, value.parse().ok().map(Some)),
        "within" => set_some(&mut spec.ranges, ranges(value)),
        _ => {}
    })
}

/// Appends what differs from the defaults.
pub(super) fn write_neighborhood(spec: &NeighborhoodSpec, pairs: &mut Pairs<'_>) {
    let defaults = NeighborhoodSpec::default();
    write("neighbors", spec.neighbor_count, defaults.neighbor_count, pairs);
    write("radius", spec.radius, defaults.radius, pairs);
    write("seed", spec.seed, defaults.seed, pairs);
    if spec.distribution == Distribution::Gaussian {
        pairs.push(("shape", "gaussian".to_owned()));
    }
    if spec.anchoring == Anchoring::None {
        pairs.push(("anchored", "no".to_owned()));
    }
    write_ranges("band", &spec.ranges, pairs);
    if let Some(center) = &spec.center {
        pairs.push(("center", join(center.iter().map(ToString::to_string), ",")));
    }
}

/// Appends what differs from the defaults.
pub(super) fn write_student(spec: &StudentSpec, pairs: &mut Pairs<'_>) {
    let defaults = StudentSpec::of(spec.solver);
    match spec.solver {
        Solver::Ridge => {}
        Solver::Lbfgs { iteration_count, tolerance } => {
            pairs.push(("solver", format!("lbfgs:{iteration_count}:{tolerance:e}")));
        }
        Solver::Adam { epoch_count, batch_size, learning_rate, seed } => {
            pairs.push(("solver", format!("adam:{epoch_count}:{batch_size}:{learning_rate:e}:{seed}")));
        }
    }
    write("temperature", spec.temperature.get(), defaults.temperature.get(), pairs);
    write("l2", spec.l2, defaults.l2, pairs);
    write("own", spec.instance_weight, defaults.instance_weight, pairs);
    pairs.extend(spec.neighbor_limit.map(|limit| ("first", limit.to_string())));
    write_ranges("within", &spec.ranges, pairs);
}

/// Applies each parameter on its own and keeps it only where the whole stays valid.
fn read<S: Clone>(
    pairs: &[(String, String)],
    mut spec: S,
    validate: impl Fn(&S) -> Result<()>,
    apply: impl Fn(&mut S, &str, &str),
) -> S {
    for (key, value) in pairs {
        let mut changed = spec.clone();
        apply(&mut changed, key, value);
        if validate(&changed).is_ok() {
            spec = changed;
        }
    }
    spec
}

fn set<T, E>(target: &mut T, value: Result<T, E>) {
    set_some(target, value.ok());
}

fn set_some<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn write<T: PartialEq + Display>(key: &'static str, value: T, default: T, pairs: &mut Pairs<'_>) {
    if value != default {
        pairs.push((key, value.to_string()));
    }
}

fn write_ranges(key: &'static str, ranges: &[LatentRange], pairs: &mut Pairs<'_>) {
    if !ranges.is_empty() {
        let texts = ranges.iter().map(|range| format!("{}:{}:{}", range.dimension, range.low, range.high));
        pairs.push((key, join(texts, ",")));
    }
}

fn ranges(text: &str) -> Option<Vec<LatentRange>> {
    text.split(',').map(range).collect()
}

fn range(text: &str) -> Option<LatentRange> {
    let mut parts = text.split(':');
    let dimension = parts.next()?.parse().ok()?;
    let low = parts.next()?.parse().ok()?;
    let high = parts.next()?.parse().ok()?;
    let within = |value: f32| value.abs() <= neighborhood::NeighborhoodSpec::MAX_COORDINATE;
    (within(low) && within(high)).then_some(LatentRange { dimension, low, high })
}

fn solver(text: &str) -> Option<Solver> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        ["ridge"] => Some(Solver::Ridge),
        ["lbfgs", iterations, tolerance] => {
            Some(Solver::Lbfgs { iteration_count: iterations.parse().ok()?, tolerance: tolerance.parse().ok()? })
        }
        ["adam", epochs, batch, rate, seed] => Some(Solver::Adam {
            epoch_count: epochs.parse().ok()?,
            batch_size: batch.parse().ok()?,
            learning_rate: rate.parse().ok()?,
            seed: seed.parse().ok()?,
        }),
        _ => None,
    }
}

fn numbers<T: FromStr>(text: &str, separator: char) -> Option<Vec<T>> {
    text.split(separator).map(|part| part.parse().ok()).collect()
}

fn join(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.collect::<Vec<_>>().join(separator)
}
