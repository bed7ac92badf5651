//! What users ask for: neighborhoods, students, attributions, recipes. Reading fills in the defaults and
//! reports every wrong field at once.

use domain::{
    Anchoring, Architecture, AttributionMethod, AutoencoderRecipe, Distribution, Error, Label, LatentRange,
    NeighborhoodSpec, ResourceName, Result, Solver, StudentSpec, TeacherRecipe, TeacherSource, Temperature, Violations,
};

use crate::{fields::required, raw::deeper::types::v1 as raw};

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
        let read = Self {
            neighbor_count: spec.neighbor_count.map_or(defaults.neighbor_count, |count| count as usize),
            radius: spec.radius.unwrap_or(defaults.radius),
            seed: spec.seed.unwrap_or(defaults.seed),
            distribution: match spec.distribution() {
                raw::Distribution::Unspecified | raw::Distribution::Uniform => Distribution::Uniform,
                raw::Distribution::Gaussian => Distribution::Gaussian,
            },
            anchoring: match spec.anchoring() {
                raw::Anchoring::Unspecified | raw::Anchoring::Residual => Anchoring::Residual,
                raw::Anchoring::None => Anchoring::None,
            },
            ranges: spec.ranges.iter().map(range).collect(),
            center: spec.center.map(|center| center.coordinates),
        };
        read.validate(None)?;
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
        let defaults = Self::default();
        let mut violations = Violations::default();
        let temperature = spec.temperature.map_or(Ok(defaults.temperature), Temperature::new);
        let temperature = violations.take("", temperature);
        let read = Self {
            solver: solver(spec.solver),
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

impl From<Architecture> for raw::Architecture {
    fn from(architecture: Architecture) -> Self {
        match architecture {
            Architecture::Resnet50 => Self::Resnet50,
            Architecture::SmallCnn => Self::SmallCnn,
        }
    }
}

/// Reads an architecture; unknown and unspecified values are refused.
pub fn architecture(value: i32) -> Result<Architecture> {
    match raw::Architecture::try_from(value) {
        Ok(raw::Architecture::Resnet50) => Ok(Architecture::Resnet50),
        Ok(raw::Architecture::SmallCnn) => Ok(Architecture::SmallCnn),
        _ => Err(Error::invalid("train", format!("{value} is not an architecture"))),
    }
}

fn split_name(violations: &mut Violations, field: &str, value: &str) {
    let fits =
        !value.is_empty() && value.len() <= 32 && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    violations.check(fits, field, || "must be the id of a split, such as train".into());
}

fn some_or<T>(value: Option<T>, fallback: T) -> T {
    value.unwrap_or(fallback)
}

impl TryFrom<raw::TeacherRecipe> for TeacherRecipe {
    type Error = Error;

    fn try_from(recipe: raw::TeacherRecipe) -> Result<Self> {
        let mut violations = Violations::default();
        let source = required("source", recipe.source).and_then(|source| match source {
            raw::teacher_recipe::Source::Train(value) => architecture(value).map(TeacherSource::Train),
            raw::teacher_recipe::Source::FineTune(name) => {
                let mut inner = Violations::default();
                let base = inner.take("fine_tune", ResourceName::parse(&name, ResourceName::TEACHER));
                inner.finish()?;
                base.map(TeacherSource::FineTune).ok_or_else(|| Error::invalid("fine_tune", "is required"))
            }
        });
        let source = violations.take("", source);
        let dataset = violations.take("dataset", ResourceName::parse(&recipe.dataset, ResourceName::DATASET));
        split_name(&mut violations, "training_split", &recipe.training_split);
        split_name(&mut violations, "evaluation_split", &recipe.evaluation_split);
        let (Some(source), Some(dataset)) = (source, dataset) else {
            return Err(violations.finish().expect_err("a missing value was noted"));
        };
        let read = Self {
            source,
            dataset,
            training_split: recipe.training_split,
            evaluation_split: recipe.evaluation_split,
            epoch_count: some_or(recipe.epoch_count, 3),
            batch_size: some_or(recipe.batch_size, 100),
            learning_rate: some_or(recipe.learning_rate, 0.08),
            weight_decay: some_or(recipe.weight_decay, 5e-4),
            seed: some_or(recipe.seed, 1),
        };
        violations.take("", read.validate());
        violations.finish()?;
        Ok(read)
    }
}

impl From<&TeacherRecipe> for raw::TeacherRecipe {
    fn from(recipe: &TeacherRecipe) -> Self {
        let source = match &recipe.source {
            TeacherSource::Train(architecture) => {
                raw::teacher_recipe::Source::Train(raw::Architecture::from(*architecture).into())
            }
            TeacherSource::FineTune(base) => raw::teacher_recipe::Source::FineTune(base.to_string()),
        };
        Self {
            source: Some(source),
            dataset: recipe.dataset.to_string(),
            training_split: recipe.training_split.clone(),
            evaluation_split: recipe.evaluation_split.clone(),
            epoch_count: Some(recipe.epoch_count),
            batch_size: Some(recipe.batch_size),
            learning_rate: Some(recipe.learning_rate),
            weight_decay: Some(recipe.weight_decay),
            seed: Some(recipe.seed),
        }
    }
}

impl TryFrom<raw::AutoencoderRecipe> for AutoencoderRecipe {
    type Error = Error;

    fn try_from(recipe: raw::AutoencoderRecipe) -> Result<Self> {
        let mut violations = Violations::default();
        split_name(&mut violations, "training_split", &recipe.training_split);
        let dataset = violations.take("dataset", ResourceName::parse(&recipe.dataset, ResourceName::DATASET));
        let Some(dataset) = dataset else {
            return Err(violations.finish().expect_err("a missing value was noted"));
        };
        let defaults = Self::defaults(dataset, recipe.training_split);
        let read = Self {
            latent_dimension_count: some_or(recipe.latent_dimension_count, defaults.latent_dimension_count),
            hidden_size: some_or(recipe.hidden_size, defaults.hidden_size),
            epoch_count: some_or(recipe.epoch_count, defaults.epoch_count),
            batch_size: some_or(recipe.batch_size, defaults.batch_size),
            learning_rate: some_or(recipe.learning_rate, defaults.learning_rate),
            beta: some_or(recipe.beta, defaults.beta),
            seed: some_or(recipe.seed, defaults.seed),
            ..defaults
        };
        violations.take("", read.validate());
        violations.finish()?;
        Ok(read)
    }
}

impl From<&AutoencoderRecipe> for raw::AutoencoderRecipe {
    fn from(recipe: &AutoencoderRecipe) -> Self {
        Self {
            dataset: recipe.dataset.to_string(),
            training_split: recipe.training_split.clone(),
            latent_dimension_count: Some(recipe.latent_dimension_count),
            hidden_size: Some(recipe.hidden_size),
            epoch_count: Some(recipe.epoch_count),
            batch_size: Some(recipe.batch_size),
            learning_rate: Some(recipe.learning_rate),
            beta: Some(recipe.beta),
            seed: Some(recipe.seed),
        }
    }
}
