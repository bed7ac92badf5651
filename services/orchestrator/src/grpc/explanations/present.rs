//! Answers of `ExplanationService`.

use domain::{Error, Explanation, ExplanationState, Result};
use prost::Message;
use prost_types::Any;
use proto::{
    raw::{
        deeper::explanation::v1::{self as raw, create_student_response::Answer},
        google::longrunning::{Operation, operation::Result as Outcome},
    },
    rpc::rpc_from_error,
};
use runtime::page::{self, Page};

use crate::explanations::{DecodedImage, MadeStudent, StudentUpdate};

/// Bytes of one page of neighbors, well under the largest message.
const NEIGHBOR_PAGE_BYTES: usize = 2 << 20;
/// What a neighbor's numbers take on the wire, generously.
const NEIGHBOR_OVERHEAD_BYTES: usize = 600;

/// An explanation's operation: its metadata says how far it is, its response is the explanation itself.
pub(crate) fn operation(explanation: &Explanation) -> Operation {
    let metadata = raw::ExplanationMetadata {
        explanation: explanation.name.to_string(),
        stage: raw::Stage::from(explanation.stage).into(),
        labeled_neighbor_count: explanation.labeled_neighbor_count as u32,
        neighbor_count: explanation.neighborhood.neighbor_count as u32,
    };
    let failed = |error: Error| Some(Outcome::Error(rpc_from_error(error)));
    let result = match &explanation.state {
        ExplanationState::Queued | ExplanationState::Running => None,
        ExplanationState::Succeeded => {
            let response = raw::Explanation::from(explanation).encode_to_vec();
            Some(Outcome::Response(any("deeper.explanation.v1.Explanation", response)))
        }
        ExplanationState::Failed(error) => failed(error.clone()),
        ExplanationState::Cancelled => failed(Error::Cancelled),
    };
    Operation {
        name: explanation.operation.clone(),
        metadata: Some(any("deeper.explanation.v1.ExplanationMetadata", metadata.encode_to_vec())),
        done: result.is_some(),
        result,
    }
}

fn any(type_name: &str, value: Vec<u8>) -> Any {
    Any { type_url: format!("type.googleapis.com/{type_name}"), value }
}

/// One page of what is all in memory, and the token of the next.
pub(super) fn page<'a, T>(all: &'a [T], page: &Page, size: usize, arguments: &[&str]) -> Result<(&'a [T], String)> {
    let start = page.offset()?.min(all.len());
    let end = start.saturating_add(size).min(all.len());
    let token = if end < all.len() { page::token(&end.to_string(), arguments) } else { String::new() };
    Ok((&all[start..end], token))
}

/// Neighbors that fit one message.
pub(super) fn neighbor_page_size(wanted: usize, explanation: &Explanation, with_images: bool) -> usize {
    let image = explanation.image.as_ref().filter(|_| with_images);
    let image_bytes = image.map_or(0, |image| image.shape().pixel_count());
    wanted.min((NEIGHBOR_PAGE_BYTES / (NEIGHBOR_OVERHEAD_BYTES + image_bytes)).max(1))
}

/// For lists: everything but the student.
pub(super) fn without_maps(explanation: &Explanation) -> raw::Explanation {
    raw::Explanation { student: None, ..raw::Explanation::from(explanation) }
}

pub(super) fn student(made: &MadeStudent) -> raw::Student {
    let student = &*made.student;
    raw::Student { name: student.name.to_string(), fitted: Some(student.into()), creator: made.creator.clone() }
}

pub(super) fn student_update(update: StudentUpdate) -> raw::CreateStudentResponse {
    let answer = match update {
        StudentUpdate::Progress(progress) => Answer::Progress(raw::StudentProgress {
            iteration: progress.iteration,
            iteration_count: progress.iteration_count,
            loss: progress.loss,
        }),
        StudentUpdate::Student(fitted) => Answer::Student(student(&fitted)),
    };
    raw::CreateStudentResponse { answer: Some(answer) }
}

pub(super) fn decoded(decoded: &DecodedImage) -> raw::DecodedImage {
    raw::DecodedImage {
        image: Some((&decoded.image).into()),
        soft_labels: Some((&decoded.soft_labels).into()),
        latent: Some(decoded.point.clone().into()),
    }
}
