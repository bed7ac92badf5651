//! What users ask of a model: neighborhoods, students, attributions. Reading fills in the defaults and
//! reports every wrong field at once.

#[cfg(test)]
mod tests;

use domain::{
    Anchoring, AttributionMethod, Distribution, Error, Label, LatentRange, NeighborhoodSpec, Result, Solver,
    StudentSpec, Temperature, Violations,
};

use crate::{fields::enumerated, raw::deeper::types::v1 as raw};

fn range(range: &raw::LatentRange) -> LatentRange {
    LatentRange { dimension: range.dimension as usize, low: range.low, high: range.high }
}

fn raw_range(range: &LatentRange) -> raw::LatentRange {
    raw::LatentRange { dimension: range.dimension as u32, low: range.low, high: range.high }
}

impl TryFrom<raw::NeighborhoodSpec> for NeighborhoodSpec {
    type Error = Error;

    fn try_from(spec: raw::NeighborhoodSpec) -> Result<Self> {
        let defaults = Self::default();
        let mut violations = Violations::default();
        let distribution = enumerated("distribution", spec.distribution, raw::Distribution::as_str_name);
        let anchoring = enumerated("anchoring", spec.anchoring, raw::Anchoring::as_str_name);
        let read = Self {
            neighbor_count: spec.neighbor_count.map_or(defaults.neighbor_count, |count| count as usize),
            radius: spec.radius.unwrap_or(defaults.radius),
            seed: spec.seed.unwrap_or(defaults.seed),
            distribution: violations.take("", distribution).map_or(defaults.distribution, Distribution::from),
            anchoring: violations.take("", anchoring).map_or(defaults.anchoring, Anchoring::from),
            ranges: spec.ranges.iter().map(range).collect(),
            center: spec.center.map(|center| center.coordinates),
        };
        violations.take("", read.validate(None));
        violations.finish()?;
        Ok(read)
    }
}

impl From<&NeighborhoodSpec> for raw::NeighborhoodSpec {
    fn from(spec: &NeighborhoodSpec) -> Self {
        let distribution = match spec.distribution {
            Distribution::Uniform => raw::Distribution::Uniform,
            Distribution::Gaussian => raw::Distribution::Gaussian,
        };
        Self {
            neighbor_count: Some(spec.neighbor_count as u32),
            radius: Some(spec.radius),
            seed: Some(spec.seed),
            distribution: distribution.into(),
            anchoring: raw::Anchoring::from(spec.anchoring).into(),
            ranges: spec.ranges.iter().map(raw_range).collect(),
            center: spec.center.clone().map(raw::LatentPoint::from),
        }
    }
}

impl From<Anchoring> for raw::Anchoring {
    fn from(anchoring: Anchoring) -> Self {
        match anchoring {
            Anchoring::Residual => Self::Residual,
            Anchoring::None => Self::None,
        }
    }
}

impl From<raw::Distribution> for Distribution {
    fn from(distribution: raw::Distribution) -> Self {
        match distribution {
            raw::Distribution::Unspecified | raw::Distribution::Uniform => Self::Uniform,
            raw::Distribution::Gaussian => Self::Gaussian,
        }
    }
}

impl From<raw::Anchoring> for Anchoring {
    fn from(anchoring: raw::Anchoring) -> Self {
        match anchoring {
            raw::Anchoring::Unspecified | raw::Anchoring::Residual => Self::Residual,
            raw::Anchoring::None => Self::None,
        }
    }
}

fn solver(solver: Option<raw::student_spec::Solver>) -> Solver {
    match solver {
        None | Some(raw::student_spec::Solver::Ridge(_)) => Solver::Ridge,
        Some(raw::student_spec::Solver::Lbfgs(lbfgs)) => Solver::Lbfgs {
            iteration_count: lbfgs.iteration_count.unwrap_or(20),
            tolerance: lbfgs.tolerance.unwrap_or(1e-7),
        },
        Some(raw::student_spec::Solver::Adam(adam)) => Solver::Adam {
            epoch_count: adam.epoch_count.unwrap_or(50),
            batch_size: adam.batch_size.unwrap_or(64),
            learning_rate: adam.learning_rate.unwrap_or(0.01),
            seed: adam.seed.unwrap_or(7),
        },
    }
}

fn raw_solver(solver: Solver) -> raw::student_spec::Solver {
    match solver {
        Solver::Ridge => raw::student_spec::Solver::Ridge(raw::RidgeSolver {}),
        Solver::Lbfgs { iteration_count, tolerance } => raw::student_spec::Solver::Lbfgs(raw::LbfgsSolver {
            iteration_count: Some(iteration_count),
            tolerance: Some(tolerance),
        }),
        Solver::Adam { epoch_count, batch_size, learning_rate, seed } => {
            raw::student_spec::Solver::Adam(raw::AdamSolver {
                epoch_count: Some(epoch_count),
                batch_size: Some(batch_size),
                learning_rate: Some(learning_rate),
                seed: Some(seed),
            })
        }
    }
}

impl TryFrom<raw::StudentSpec> for StudentSpec {
    type Error = Error;

    fn try_from(spec: raw::StudentSpec) -> Result<Self> {
        let defaults = Self::of(solver(spec.solver));
        let mut violations = Violations::default();
        let temperature = spec.temperature.map_or(Ok(defaults.temperature), Temperature::new);
        let temperature = violations.take("", temperature);
        let read = Self {
            solver: defaults.solver,
            temperature: temperature.unwrap_or(defaults.temperature),
            l2: spec.l2.unwrap_or(defaults.l2),
            instance_weight: spec.instance_weight.unwrap_or(defaults.instance_weight),
            neighbor_limit: spec.neighbor_limit.map(|limit| limit as usize),
            ranges: spec.ranges.iter().map(range).collect(),
        };
        violations.take("", read.validate());
        violations.finish()?;
        Ok(read)
    }
}

impl From<&StudentSpec> for raw::StudentSpec {
    fn from(spec: &StudentSpec) -> Self {
        Self {
            solver: Some(raw_solver(spec.solver)),
            temperature: Some(spec.temperature.get()),
            l2: Some(spec.l2),
            instance_weight: Some(spec.instance_weight),
            neighbor_limit: spec.neighbor_limit.map(|limit| limit as u32),
            ranges: spec.ranges.iter().map(raw_range).collect(),
        }
    }
}

/// An attribution whose labels may still have to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributionRequest {
    /// How it is computed.
    pub method: AttributionMethod,
    /// `None`: the predicted label.
    pub target: Option<Label>,
    /// `None`: the caller's default.
    pub baseline: Option<Label>,
}

impl TryFrom<raw::AttributionSpec> for AttributionRequest {
    type Error = Error;

    fn try_from(spec: raw::AttributionSpec) -> Result<Self> {
        let method = match spec.method {
            Some(raw::attribution_spec::Method::GradientTimesInput(_)) => AttributionMethod::GradientTimesInput,
            Some(raw::attribution_spec::Method::Occlusion(occlusion)) => AttributionMethod::Occlusion {
                patch_size: occlusion.patch_size.unwrap_or(3),
                stride: occlusion.stride.unwrap_or(1),
            },
            None => AttributionMethod::Occlusion { patch_size: 3, stride: 1 },
        };
        if let AttributionMethod::Occlusion { patch_size, stride } = method {
            let mut violations = Violations::default();
            violations.check(patch_size > 0, "occlusion.patch_size", || "must be at least 1".into());
            violations.check((1..=patch_size.max(1)).contains(&stride), "occlusion.stride", || {
                format!("{stride} is outside 1 to the patch size of {patch_size}")
            });
            violations.finish()?;
        }
        Ok(Self { method, target: spec.target_label.map(Label), baseline: spec.baseline_label.map(Label) })
    }
}

impl From<&AttributionRequest> for raw::AttributionSpec {
    fn from(request: &AttributionRequest) -> Self {
        let method = match request.method {
            AttributionMethod::GradientTimesInput => {
                raw::attribution_spec::Method::GradientTimesInput(raw::GradientTimesInput {})
            }
            AttributionMethod::Occlusion { patch_size, stride } => {
                raw::attribution_spec::Method::Occlusion(raw::Occlusion {
                    patch_size: Some(patch_size),
                    stride: Some(stride),
                })
            }
        };
        Self {
            method: Some(method),
            target_label: request.target.map(|label| label.0),
            baseline_label: request.baseline.map(|label| label.0),
        }
    }
}
