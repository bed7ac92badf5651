//! `Students` over gRPC.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use async_trait::async_trait;
use domain::{Error, ResourceName, Result};
use futures::{FutureExt, Stream, StreamExt, stream::BoxStream};
use proto::{
    raw::deeper::student::v1::{
        self as raw, DistillStudentRequest, DistillStudentResponse, distill_student_request::Step,
        distill_student_response::Answer, student_service_client::StudentServiceClient,
    },
    students::student,
    types::flat_from_logits,
};
use runtime::{channel::Channel, server::MAX_MESSAGE_BYTES};
use tokio::sync::mpsc;

use super::{failed, ours, replaying::replaying};
use crate::ports::{Distillation, DistillationAnswer, DistillationConfig, FitProgress, LabeledChunk, Students};

/// Chunks that may wait for the student: labelling is slower than fitting, so few ever do.
const WAITING_CHUNK_COUNT: usize = 4;

/// The student service behind a channel.
#[derive(Clone)]
pub struct StudentClient(StudentServiceClient<Channel>);

impl StudentClient {
    /// Uses `channel`; nothing is connected before the first call.
    pub fn new(channel: Channel) -> Self {
        Self(StudentServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }
}

#[async_trait]
impl Students for StudentClient {
    async fn distill(&self, config: DistillationConfig) -> Result<Distillation> {
        let name = config.name.clone();
        let (chunks, waiting) = mpsc::channel(WAITING_CHUNK_COUNT);
        let (client, config) = (self.0.clone(), raw_config(&config));
        let open = move |chunks: BoxStream<'static, LabeledChunk>| {
            let (mut client, name) = (client.clone(), name.clone());
            let first = DistillStudentRequest { step: Some(Step::Config(config.clone())) };
            let requests = Requests(futures::stream::iter([first]).chain(chunks.map(raw_chunk)).boxed());
            async move {
                let answers = client.distill_student(requests).await.map_err(failed("student"))?.into_inner();
                Ok(answers.map(move |answer| read_answer(&name, answer.map_err(failed("student"))?)).boxed())
            }
            .boxed()
        };
        Ok(Distillation { chunks, answers: replaying(waiting, open).await?.boxed() })
    }
}

/// A named type: the compiler loses its way in a stream without one.
struct Requests(BoxStream<'static, DistillStudentRequest>);

impl Stream for Requests {
    type Item = DistillStudentRequest;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(task)
    }
}

fn raw_config(config: &DistillationConfig) -> raw::DistillationConfig {
    raw::DistillationConfig {
        spec: Some((&config.spec).into()),
        instance: Some((&config.instance).into()),
        instance_logits: Some((&config.instance_logits).into()),
        contrast_label: Some(config.contrast_label.0),
        neighbor_count: config.neighbor_count as u32,
    }
}

fn raw_chunk(chunk: LabeledChunk) -> DistillStudentRequest {
    let chunk = raw::LabeledChunk {
        images: Some((&chunk.images).into()),
        logits: flat_from_logits(&chunk.logits),
        fit: chunk.fit,
    };
    DistillStudentRequest { step: Some(Step::Chunk(chunk)) }
}

fn read_answer(name: &ResourceName, answer: DistillStudentResponse) -> Result<DistillationAnswer> {
    match answer.answer {
        Some(Answer::Progress(progress)) => Ok(DistillationAnswer::Progress(FitProgress {
            iteration: progress.iteration,
            iteration_count: progress.iteration_count,
            loss: progress.loss,
        })),
        Some(Answer::Student(fitted)) => {
            ours(student(name.clone(), fitted)).map(|student| DistillationAnswer::Student(Box::new(student)))
        }
        None => Err(Error::unexpected("an empty answer of the student service")),
    }
}
