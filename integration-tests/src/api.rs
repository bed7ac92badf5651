//! The public API as a client program has it, with the few steps that every story repeats.

use domain::{ImageShape, LinearClassifier};
use proto::raw::{
    deeper::{
        catalog::v1::catalog_service_client::CatalogServiceClient,
        explanation::v1::{
            self as raw, explanation_service_client::ExplanationServiceClient, instance::Source, own_image::Data,
        },
        types::v1 as types,
    },
    google::longrunning::{Operation, WaitOperationRequest, operations_client::OperationsClient},
};
use runtime::{channel::Channel, server::MAX_MESSAGE_BYTES};
use tonic::Status;

use crate::world::{IDENTITY, TEACHER};

/// Clients of the three public services. Cheap to clone: each call takes a clone of its own.
#[derive(Debug, Clone)]
pub struct Api {
    /// Data sets and models.
    pub catalog: CatalogServiceClient<Channel>,
    /// Explanations.
    pub explanations: ExplanationServiceClient<Channel>,
    /// Long work.
    pub operations: OperationsClient<Channel>,
}

impl Api {
    /// Over a channel to an orchestrator.
    pub fn over(channel: Channel) -> Self {
        Self {
            catalog: CatalogServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            explanations: ExplanationServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            operations: OperationsClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES),
        }
    }

    /// Waits for the end of an operation, however long it takes.
    pub async fn finished(&self, mut operation: Operation) -> Result<Operation, Status> {
        while !operation.done {
            let request = WaitOperationRequest { name: operation.name.clone(), timeout: None };
            operation = self.operations.clone().wait_operation(request).await?.into_inner();
        }
        Ok(operation)
    }

    /// Creates an explanation and watches it to its end; every snapshot that was seen, the last one last.
    pub async fn watch_new(&self, request: raw::CreateExplanationRequest) -> Result<Vec<raw::Explanation>, Status> {
        let name = format!("explanations/{}", request.explanation_id);
        let mut client = self.explanations.clone();
        client.create_explanation(request).await?;
        let mut stream = client.watch_explanation(raw::WatchExplanationRequest { name }).await?.into_inner();
        let mut seen = Vec::new();
        while let Some(snapshot) = stream.message().await? {
            seen.push(snapshot);
        }
        Ok(seen)
    }

    /// Creates an explanation and waits for its end.
    pub async fn explain(&self, request: raw::CreateExplanationRequest) -> Result<raw::Explanation, Status> {
        let mut seen = self.watch_new(request).await?;
        seen.pop().ok_or_else(|| Status::internal("the watch ended without a snapshot"))
    }

    /// All labelled neighbors of an explanation, with their pixels.
    pub async fn neighbors(&self, explanation: &str) -> Result<Vec<raw::Neighbor>, Status> {
        let mut neighbors = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = raw::ListNeighborsRequest {
                parent: explanation.to_owned(),
                page_size: 1_000,
                page_token,
                view: raw::NeighborView::Full.into(),
            };
            let page = self.explanations.clone().list_neighbors(request).await?.into_inner();
            neighbors.extend(page.neighbors);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(neighbors);
            }
        }
    }

    /// Distills another student and waits for it.
    pub async fn distill(&self, request: raw::CreateStudentRequest) -> Result<raw::Student, Status> {
        let mut answers = self.explanations.clone().create_student(request).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            if let Some(raw::create_student_response::Answer::Student(student)) = answer.answer {
                return Ok(student);
            }
        }
        Err(Status::internal("the distillation ended without a student"))
    }
}

/// A request to explain an image of one's own with the sandbox's teacher and its lossless autoencoder.
pub fn explain_image(id: &str, image: &domain::Image) -> raw::CreateExplanationRequest {
    raw::CreateExplanationRequest { instance: Some(own_image(image)), ..explain_nothing(id) }
}

/// A request to explain an example of a data set, likewise.
pub fn explain_example(id: &str, example: &str) -> raw::CreateExplanationRequest {
    let instance = raw::Instance { source: Some(Source::Example(example.to_owned())) };
    raw::CreateExplanationRequest { instance: Some(instance), ..explain_nothing(id) }
}

fn explain_nothing(id: &str) -> raw::CreateExplanationRequest {
    raw::CreateExplanationRequest {
        explanation_id: id.to_owned(),
        teacher: TEACHER.to_owned(),
        autoencoder: IDENTITY.to_owned(),
        ..Default::default()
    }
}

/// An image of one's own without a gold label.
pub fn own_image(image: &domain::Image) -> raw::Instance {
    let image = raw::OwnImage { data: Some(Data::Pixels(image.into())), gold_label: None };
    raw::Instance { source: Some(Source::Image(image)) }
}

/// A neighborhood of so many neighbors, everything else by default.
pub fn neighbors(count: u32) -> Option<types::NeighborhoodSpec> {
    Some(types::NeighborhoodSpec { neighbor_count: Some(count), ..Default::default() })
}

/// The student that an explanation came to.
///
/// # Panics
/// When there is none.
pub fn fitted(explanation: &raw::Explanation) -> &types::FittedStudent {
    let student = explanation.student.as_ref().and_then(|student| student.fitted.as_ref());
    student.unwrap_or_else(|| panic!("no student: {:?} {:?}", explanation.state(), explanation.error))
}

/// A student as a classifier that can be asked.
///
/// # Panics
/// When its maps are not whole.
pub fn classifier(student: &types::FittedStudent) -> LinearClassifier {
    let shape = student
        .weight_maps
        .first()
        .map(|map| ImageShape::new(map.channels as usize, map.height as usize, map.width as usize).expect("a shape"));
    let widen = |map: &types::Heatmap| map.values.iter().map(|&value| f64::from(value)).collect();
    let weights = student.weight_maps.iter().map(widen).collect();
    LinearClassifier::new(shape.expect("a map a label"), weights, student.biases.clone()).expect("whole maps")
}
