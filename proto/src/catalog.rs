//! Data sets, models, examples and confusion matrices.

use domain::{
    Autoencoder, ConfusionMatrix, Dataset, Error, Example, ImageShape, Label, ModelState, ResourceName, Result, Split,
    Teacher, Violations,
};
use prost_types::Timestamp;

use crate::{
    fields::{nested, required_from, under},
    raw::deeper::catalog::v1 as raw,
    recipes::architecture,
};

/// A moment as the wire says it.
pub fn timestamp(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

/// What is from before there were creators is nobody's in particular.
pub fn creator(name: String) -> String {
    if name.is_empty() { "anonymous".to_owned() } else { name }
}

fn seconds(timestamp: Option<Timestamp>) -> i64 {
    timestamp.map_or(0, |timestamp| timestamp.seconds)
}

fn name(field: &str, text: &str, collections: &[&str]) -> Result<ResourceName> {
    under(field, ResourceName::parse(text, collections))
}

impl From<&Dataset> for raw::Dataset {
    fn from(dataset: &Dataset) -> Self {
        let split = |split: &Split| raw::Split { id: split.id.clone(), example_count: split.example_count };
        Self {
            name: dataset.name.to_string(),
            display_name: dataset.display_name.clone(),
            channels: dataset.shape.channels as u32,
            height: dataset.shape.height as u32,
            width: dataset.shape.width as u32,
            label_names: dataset.label_names.clone(),
            splits: dataset.splits.iter().map(split).collect(),
        }
    }
}

impl TryFrom<raw::Dataset> for Dataset {
    type Error = Error;

    fn try_from(dataset: raw::Dataset) -> Result<Self> {
        let split = |split: raw::Split| Split { id: split.id, example_count: split.example_count };
        Ok(Self {
            name: name("name", &dataset.name, ResourceName::DATASET)?,
            display_name: dataset.display_name,
            shape: ImageShape::new(dataset.channels as usize, dataset.height as usize, dataset.width as usize)?,
            label_names: dataset.label_names,
            splits: dataset.splits.into_iter().map(split).collect(),
        })
    }
}

fn raw_state(state: &ModelState) -> (i32, String) {
    match state {
        ModelState::Training => (raw::ModelState::Training.into(), String::new()),
        ModelState::Ready => (raw::ModelState::Ready.into(), String::new()),
        ModelState::Failed(why) => (raw::ModelState::Failed.into(), why.clone()),
    }
}

fn model_state(state: raw::ModelState, failure: String) -> ModelState {
    match state {
        raw::ModelState::Ready => ModelState::Ready,
        raw::ModelState::Failed => ModelState::Failed(failure),
        raw::ModelState::Training | raw::ModelState::Unspecified => ModelState::Training,
    }
}

impl From<&Teacher> for raw::Teacher {
    fn from(teacher: &Teacher) -> Self {
        let (state, failure) = raw_state(&teacher.state);
        Self {
            name: teacher.name.to_string(),
            display_name: teacher.display_name.clone(),
            recipe: Some((&teacher.recipe).into()),
            state,
            failure,
            architecture: crate::raw::deeper::types::v1::Architecture::from(teacher.architecture).into(),
            digest: teacher.digest.clone(),
            engine: teacher.engine.clone(),
            accuracy: teacher.accuracy,
            evaluated_example_count: teacher.evaluated_example_count,
            operation: teacher.operation.clone(),
            create_time: timestamp(teacher.create_time),
            creator: teacher.creator.clone(),
        }
    }
}

impl TryFrom<raw::Teacher> for Teacher {
    type Error = Error;

    fn try_from(teacher: raw::Teacher) -> Result<Self> {
        Ok(Self {
            name: name("name", &teacher.name, ResourceName::TEACHER)?,
            state: model_state(teacher.state(), teacher.failure),
            display_name: teacher.display_name,
            recipe: required_from("recipe", teacher.recipe)?,
            architecture: architecture(teacher.architecture)?,
            digest: teacher.digest,
            engine: teacher.engine,
            accuracy: teacher.accuracy,
            evaluated_example_count: teacher.evaluated_example_count,
            operation: teacher.operation,
            create_time: seconds(teacher.create_time),
            creator: creator(teacher.creator),
        })
    }
}

impl From<&Autoencoder> for raw::Autoencoder {
    fn from(autoencoder: &Autoencoder) -> Self {
        let (state, failure) = raw_state(&autoencoder.state);
        Self {
            name: autoencoder.name.to_string(),
            display_name: autoencoder.display_name.clone(),
            recipe: Some((&autoencoder.recipe).into()),
            state,
            failure,
            digest: autoencoder.digest.clone(),
            loss: autoencoder.loss,
            operation: autoencoder.operation.clone(),
            create_time: timestamp(autoencoder.create_time),
            creator: autoencoder.creator.clone(),
        }
    }
}

impl TryFrom<raw::Autoencoder> for Autoencoder {
    type Error = Error;

    fn try_from(autoencoder: raw::Autoencoder) -> Result<Self> {
        Ok(Self {
            name: name("name", &autoencoder.name, ResourceName::AUTOENCODER)?,
            state: model_state(autoencoder.state(), autoencoder.failure),
            display_name: autoencoder.display_name,
            recipe: required_from("recipe", autoencoder.recipe)?,
            digest: autoencoder.digest,
            loss: autoencoder.loss,
            operation: autoencoder.operation,
            create_time: seconds(autoencoder.create_time),
            creator: creator(autoencoder.creator),
        })
    }
}

impl From<&Example> for raw::Example {
    fn from(example: &Example) -> Self {
        Self {
            name: example.name.to_string(),
            index: example.index,
            image: Some((&example.image).into()),
            gold_label: example.gold_label.0,
            soft_labels: example.soft_labels.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<raw::Example> for Example {
    type Error = Error;

    fn try_from(example: raw::Example) -> Result<Self> {
        Ok(Self {
            name: name("name", &example.name, ResourceName::EXAMPLE)?,
            index: example.index,
            image: required_from("image", example.image)?,
            gold_label: Label(example.gold_label),
            soft_labels: example.soft_labels.map(|labels| nested("soft_labels", labels)).transpose()?,
        })
    }
}

/// Presents a matrix with where it comes from.
pub fn raw_confusion_matrix(
    teacher: &ResourceName,
    dataset: &ResourceName,
    split: &str,
    matrix: &ConfusionMatrix,
) -> raw::ConfusionMatrix {
    raw::ConfusionMatrix {
        teacher: teacher.to_string(),
        dataset: dataset.to_string(),
        split: split.to_owned(),
        label_count: matrix.label_count() as u32,
        counts: matrix.counts().to_vec(),
    }
}

impl TryFrom<raw::ConfusionMatrix> for ConfusionMatrix {
    type Error = Error;

    fn try_from(matrix: raw::ConfusionMatrix) -> Result<Self> {
        ConfusionMatrix::from_counts(matrix.label_count as usize, matrix.counts)
    }
}

/// Where an example lies: its data set, its split and its position there.
pub fn example_position(name: &ResourceName) -> Result<(ResourceName, String, u64)> {
    let mut violations = Violations::default();
    let dataset = name.parent();
    let position = name.id().rsplit_once('-').and_then(|(split, index)| Some((split, index.parse::<u64>().ok()?)));
    match (dataset, position) {
        (Some(dataset), Some((split, index))) => Ok((dataset, split.to_owned(), index)),
        _ => {
            violations.add("", format!("{name} is not of the form datasets/{{d}}/examples/{{split}}-{{index}}"));
            Err(violations.finish().expect_err("one violation was noted"))
        }
    }
}
