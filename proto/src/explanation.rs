//! Explanations, their neighbors, and the instance they are about.

use domain::{
    Error, Explanation, ExplanationState, Image, Instance, Label, Neighbor, NeighborhoodSpec, Reconstruction,
    ResourceName, Result, Stage, StudentSpec,
};

use crate::{
    catalog::{creator, timestamp},
    fields::{nested, required, required_from, under},
    raw::{deeper::explanation::v1 as raw, google::rpc},
    rpc::{error_from_rpc, rpc_from_error},
    students::student,
};

/// An instance as it was asked for, with the PNG not yet decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum InstanceRequest {
    /// `datasets/{d}/examples/{e}`.
    Example(ResourceName),
    /// A PNG file.
    Png {
        /// The file's bytes.
        bytes: Vec<u8>,
        /// What it is, if the user says so.
        gold_label: Option<Label>,
    },
    /// Packed pixels.
    Pixels {
        /// Taken as they are.
        image: Image,
        /// What it is, if the user says so.
        gold_label: Option<Label>,
    },
}

impl TryFrom<raw::Instance> for InstanceRequest {
    type Error = Error;

    fn try_from(instance: raw::Instance) -> Result<Self> {
        match required("source", instance.source)? {
            raw::instance::Source::Example(name) => {
                under("example", ResourceName::parse(&name, ResourceName::EXAMPLE)).map(Self::Example)
            }
            raw::instance::Source::Image(own) => {
                let gold_label = own.gold_label.map(Label);
                match required("image.data", own.data)? {
                    raw::own_image::Data::Png(bytes) => Ok(Self::Png { bytes, gold_label }),
                    raw::own_image::Data::Pixels(image) => {
                        Ok(Self::Pixels { image: nested("image.pixels", image)?, gold_label })
                    }
                }
            }
        }
    }
}

impl From<&Instance> for raw::Instance {
    fn from(instance: &Instance) -> Self {
        let source = match instance {
            Instance::Example(name) => raw::instance::Source::Example(name.to_string()),
            Instance::Image { image, gold_label } => raw::instance::Source::Image(raw::OwnImage {
                data: Some(raw::own_image::Data::Pixels(image.into())),
                gold_label: gold_label.map(|label| label.0),
            }),
        };
        Self { source: Some(source) }
    }
}

impl TryFrom<raw::Instance> for Instance {
    type Error = Error;

    fn try_from(instance: raw::Instance) -> Result<Self> {
        match InstanceRequest::try_from(instance)? {
            InstanceRequest::Example(name) => Ok(Self::Example(name)),
            InstanceRequest::Pixels { image, gold_label } => Ok(Self::Image { image, gold_label }),
            InstanceRequest::Png { .. } => Err(Error::invalid("image.png", "is decoded before it is stored")),
        }
    }
}

impl From<Stage> for raw::Stage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Encoding => Self::Encoding,
            Stage::Labeling => Self::Labeling,
            Stage::Distilling => Self::Distilling,
            Stage::Complete => Self::Complete,
        }
    }
}

/// Reads a stage; an unknown one is the first.
pub fn stage(stage: raw::Stage) -> Stage {
    match stage {
        raw::Stage::Unspecified | raw::Stage::Encoding => Stage::Encoding,
        raw::Stage::Labeling => Stage::Labeling,
        raw::Stage::Distilling => Stage::Distilling,
        raw::Stage::Complete => Stage::Complete,
    }
}

fn raw_state(state: &ExplanationState) -> (raw::State, Option<rpc::Status>) {
    match state {
        ExplanationState::Queued => (raw::State::Queued, None),
        ExplanationState::Running => (raw::State::Running, None),
        ExplanationState::Succeeded => (raw::State::Succeeded, None),
        ExplanationState::Failed(error) => (raw::State::Failed, Some(rpc_from_error(error.clone()))),
        ExplanationState::Cancelled => (raw::State::Cancelled, None),
    }
}

fn state(state: raw::State, error: Option<rpc::Status>) -> ExplanationState {
    match state {
        raw::State::Unspecified | raw::State::Queued => ExplanationState::Queued,
        raw::State::Running => ExplanationState::Running,
        raw::State::Succeeded => ExplanationState::Succeeded,
        raw::State::Failed => {
            ExplanationState::Failed(error.map_or_else(|| Error::unexpected("failed without a reason"), error_from_rpc))
        }
        raw::State::Cancelled => ExplanationState::Cancelled,
    }
}

impl From<&Reconstruction> for raw::Reconstruction {
    fn from(reconstruction: &Reconstruction) -> Self {
        Self {
            image: Some((&reconstruction.image).into()),
            soft_labels: Some((&reconstruction.soft_labels).into()),
            keeps_label: reconstruction.keeps_label,
        }
    }
}

impl TryFrom<raw::Reconstruction> for Reconstruction {
    type Error = Error;

    fn try_from(reconstruction: raw::Reconstruction) -> Result<Self> {
        Ok(Self {
            image: required_from("image", reconstruction.image)?,
            soft_labels: required_from("soft_labels", reconstruction.soft_labels)?,
            keeps_label: reconstruction.keeps_label,
        })
    }
}

impl From<&Explanation> for raw::Explanation {
    fn from(explanation: &Explanation) -> Self {
        let (state, error) = raw_state(&explanation.state);
        let student = explanation.student.as_ref().map(|student| raw::Student {
            name: student.name.to_string(),
            fitted: Some(student.into()),
            creator: String::new(),
        });
        Self {
            name: explanation.name.to_string(),
            display_name: explanation.display_name.clone(),
            teacher: explanation.teacher.to_string(),
            autoencoder: explanation.autoencoder.to_string(),
            instance: Some((&explanation.instance).into()),
            neighborhood: Some((&explanation.neighborhood).into()),
            student_spec: Some((&explanation.student_spec).into()),
            state: state.into(),
            error,
            stage: raw::Stage::from(explanation.stage).into(),
            operation: explanation.operation.clone(),
            create_time: timestamp(explanation.create_time),
            image: explanation.image.as_ref().map(Into::into),
            gold_label: explanation.gold_label.map(|label| label.0),
            soft_labels: explanation.soft_labels.as_ref().map(Into::into),
            latent: explanation.latent.as_ref().map(Into::into),
            reconstruction: explanation.reconstruction.as_ref().map(Into::into),
            labeled_neighbor_count: explanation.labeled_neighbor_count as u32,
            student,
            creator: explanation.creator.clone(),
        }
    }
}

fn optional<R, T: TryFrom<R, Error = Error>>(field: &str, value: Option<R>) -> Result<Option<T>> {
    value.map(|value| nested(field, value)).transpose()
}

impl TryFrom<raw::Explanation> for Explanation {
    type Error = Error;

    fn try_from(explanation: raw::Explanation) -> Result<Self> {
        let stage = stage(explanation.stage());
        let state = state(explanation.state(), explanation.error);
        let student = explanation.student.map(named_student).transpose()?;
        Ok(Self {
            name: under("name", ResourceName::parse(&explanation.name, ResourceName::EXPLANATION))?,
            display_name: explanation.display_name,
            teacher: under("teacher", ResourceName::parse(&explanation.teacher, ResourceName::TEACHER))?,
            autoencoder: under(
                "autoencoder",
                ResourceName::parse(&explanation.autoencoder, ResourceName::AUTOENCODER),
            )?,
            instance: required_from("instance", explanation.instance)?,
            neighborhood: optional("neighborhood", explanation.neighborhood)?.unwrap_or_else(NeighborhoodSpec::default),
            student_spec: optional("student_spec", explanation.student_spec)?.unwrap_or_else(StudentSpec::default),
            state,
            stage,
            operation: explanation.operation,
            create_time: explanation.create_time.map_or(0, |time| time.seconds),
            image: optional("image", explanation.image)?,
            gold_label: explanation.gold_label.map(Label),
            soft_labels: optional("soft_labels", explanation.soft_labels)?,
            latent: optional("latent", explanation.latent)?,
            reconstruction: optional("reconstruction", explanation.reconstruction)?,
            labeled_neighbor_count: explanation.labeled_neighbor_count as usize,
            student,
            creator: creator(explanation.creator),
        })
    }
}

/// Reads a student resource.
pub fn named_student(raw: raw::Student) -> Result<domain::Student> {
    let name = under("name", ResourceName::parse(&raw.name, ResourceName::STUDENT))?;
    under("fitted", student(name, required("fitted", raw.fitted)?))
}

/// Presents a neighbor of an explanation.
pub fn raw_neighbor(explanation: &ResourceName, neighbor: &Neighbor) -> raw::Neighbor {
    raw::Neighbor {
        name: format!("{explanation}/neighbors/{}", neighbor.index),
        index: neighbor.index,
        latent: Some(neighbor.latent.clone().into()),
        soft_labels: Some((&neighbor.soft_labels).into()),
        image: neighbor.image.as_ref().map(Into::into),
    }
}

impl TryFrom<raw::Neighbor> for Neighbor {
    type Error = Error;

    fn try_from(neighbor: raw::Neighbor) -> Result<Self> {
        Ok(Self {
            index: neighbor.index,
            latent: required("latent", neighbor.latent)?.coordinates,
            soft_labels: required_from("soft_labels", neighbor.soft_labels)?,
            image: optional("image", neighbor.image)?,
        })
    }
}
