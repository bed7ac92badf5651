//! How a model is made: recipes of teachers and autoencoders. Reading fills in the defaults and reports every
//! wrong field at once.

use domain::{Architecture, AutoencoderRecipe, Error, ResourceName, Result, TeacherRecipe, TeacherSource, Violations};

use crate::{
    fields::{enumerated, required},
    raw::deeper::types::v1 as raw,
};

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
    match enumerated("train", value, raw::Architecture::as_str_name)? {
        raw::Architecture::Resnet50 => Ok(Architecture::Resnet50),
        raw::Architecture::SmallCnn => Ok(Architecture::SmallCnn),
        raw::Architecture::Unspecified => Err(Error::invalid("train", "names no architecture")),
    }
}

fn split_name(violations: &mut Violations, field: &str, value: &str) {
    let fits =
        !value.is_empty() && value.len() <= 32 && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    violations.check(fits, field, || "must be the id of a split, such as train".into());
}

fn any_dataset() -> ResourceName {
    ResourceName::new(ResourceName::DATASET, &["any"]).expect("a name of the right form")
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
        // What stands in for a value that was refused is never answered; the other fields are judged all the same.
        let read = Self {
            source: source.unwrap_or(TeacherSource::Train(Architecture::SmallCnn)),
            dataset: dataset.unwrap_or_else(any_dataset),
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
        // As above: whatever stands in for a refused name is never answered.
        let defaults = Self::defaults(dataset.unwrap_or_else(any_dataset), recipe.training_split);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_fields(recipe: raw::TeacherRecipe) -> Vec<String> {
        let Err(Error::InvalidFields(violations)) = TeacherRecipe::try_from(recipe) else { panic!("taken") };
        violations.iter().map(|violation| violation.field.clone()).collect()
    }

    #[test]
    fn an_unreadable_source_or_data_set_hides_no_other_wrong_field() {
        let recipe = raw::TeacherRecipe {
            source: Some(raw::teacher_recipe::Source::Train(9)),
            dataset: "mnist".into(),
            training_split: "train".into(),
            evaluation_split: "t10k".into(),
            epoch_count: Some(0),
            seed: Some(1),
            ..Default::default()
        };
        assert_eq!(wrong_fields(recipe.clone()), ["train", "dataset", "epoch_count"]);
        for missing in [None, Some(raw::teacher_recipe::Source::Train(0))] {
            let field = if missing.is_some() { "train" } else { "source" };
            assert_eq!(wrong_fields(raw::TeacherRecipe { source: missing, ..recipe.clone() })[0], field);
        }
        let recipe =
            raw::AutoencoderRecipe { hidden_size: Some(0), training_split: "train".into(), ..Default::default() };
        let refused = AutoencoderRecipe::try_from(recipe).unwrap_err().to_string();
        assert!(refused.contains("dataset: ") && refused.contains("hidden_size: "), "{refused}");
    }
}
