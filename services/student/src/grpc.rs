//! The face: a stream of labelled neighbors in, a stream of progress and ever better students out. It keeps
//! nothing between calls. What a fit is stands in `distillation`.

use domain::{Error, Image, ImageBatch, Label, Logits, Result, Student, StudentSpec, Violations};
use proto::{
    fields::{required, required_from, under},
    raw::deeper::student::v1::{
        self as raw, DistillStudentRequest, DistillStudentResponse, distill_student_request::Step,
        distill_student_response::Answer, student_service_server::StudentService,
    },
    status::request_error,
};
use runtime::{call::Context, gate::Gate, places::Places, status};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, info_span};

use crate::{
    distillation::{Distiller, FitProgress},
    turn::Turn,
};

/// Distillations that may be open in one process; one more is answered `QueueFull`, and so is a caller that has
/// three for each place that is free: alone it gets 24. Most wait for their teacher, and fits pass the gate one
/// by one, callers in turn.
pub const MAX_OPEN_DISTILLATIONS: usize = 32;
/// When to come back then.
const RETRY_AFTER_MS: u64 = 1_000;
/// Answers that may wait for a slow reader. Progress beyond that is left out, students never are.
const WAITING_ANSWERS: usize = 16;

type Answers = mpsc::Sender<Result<DistillStudentResponse, Status>>;

/// The service; fits pass the gate.
#[derive(Debug)]
pub(crate) struct Face {
    gate: Gate,
    places: Places,
}

impl Face {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate, places: Places::new(MAX_OPEN_DISTILLATIONS) }
    }
}

#[tonic::async_trait]
impl StudentService for Face {
    type DistillStudentStream = ReceiverStream<Result<DistillStudentResponse, Status>>;

    async fn distill_student(
        &self,
        request: Request<Streaming<DistillStudentRequest>>,
    ) -> Result<Response<Self::DistillStudentStream>, Status> {
        let context = Context::of(&request);
        let full = || Error::QueueFull { engine: "student".to_owned(), retry_after_ms: RETRY_AFTER_MS };
        let place = self.places.take(&context.caller).ok_or_else(full).map_err(status::from_error)?;
        let (answers, waiting) = mpsc::channel(WAITING_ANSWERS);
        let call = Call { gate: self.gate.clone(), context, answers };
        // The task ends with the call: its context is cancelled when the stream of answers is dropped.
        let task = async move {
            let outcome = call.context.run(call.converse(request.into_inner())).await;
            if let Err(error) = outcome {
                call.answers.send(Err(status::from_error(error))).await.ok();
            }
            drop(place);
        };
        tokio::spawn(task.in_current_span());
        Ok(Response::new(ReceiverStream::new(waiting)))
    }
}

/// One distillation in progress.
struct Call {
    gate: Gate,
    context: Context,
    answers: Answers,
}

impl Call {
    /// A configuration, then chunks until all announced neighbors are there.
    async fn converse(&self, mut requests: Streaming<DistillStudentRequest>) -> Result<()> {
        let config = match next_step(&mut requests).await? {
            Some(Step::Config(config)) => config,
            _ => return Err(Error::invalid("config", "must come first")),
        };
        let neighbor_count = config.neighbor_count as usize;
        let mut distiller = under("config", distiller(config))?;
        while distiller.neighbor_count() < neighbor_count {
            let Some(Step::Chunk(chunk)) = next_step(&mut requests).await? else {
                let came = distiller.neighbor_count();
                return Err(Error::invalid("chunk", format!("{came} of {neighbor_count} announced neighbors came")));
            };
            let fit = chunk.fit;
            under("chunk", push(&mut distiller, chunk, neighbor_count))?;
            let last = distiller.neighbor_count() == neighbor_count;
            if fit || last {
                let student;
                (distiller, student) = self.fit(distiller, last).await?;
                self.answer(Answer::Student((&student).into())).await?;
            }
        }
        Ok(())
    }

    /// Fits on a blocking thread, which the distiller visits and comes back from.
    async fn fit(&self, distiller: Distiller, last: bool) -> Result<(Distiller, Student)> {
        let span = info_span!("distillation.fit", neighbor_count = distiller.neighbor_count(), last);
        let (gate, context, answers) = (self.gate.clone(), self.context.clone(), self.answers.clone());
        let work = move || {
            let _entered = span.entered();
            let mut turn = Turn::begin(&gate, &context)?;
            let mut observe = |progress| {
                // A reader that is slower than the solver misses some progress.
                answers.try_send(Ok(response(Answer::Progress(present(progress))))).ok();
                turn.renew()
            };
            let student = distiller.fit(last, &mut observe)?;
            Ok((distiller, student))
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::unexpected)?
    }

    async fn answer(&self, answer: Answer) -> Result<()> {
        self.answers.send(Ok(response(answer))).await.map_err(|_| Error::Cancelled)
    }
}

/// What the caller says next; `None` at the end of its stream. A caller that fails has left.
async fn next_step(requests: &mut Streaming<DistillStudentRequest>) -> Result<Option<Step>> {
    match requests.message().await {
        Ok(None) => Ok(None),
        Ok(Some(request)) => required("step", request.step).map(Some),
        // Without a source: the library could not read the message. With one, the connection is gone.
        Err(status) if std::error::Error::source(&status).is_none() && is_about_a_message(&status) => {
            Err(request_error(&status))
        }
        Err(_) => Err(Error::Cancelled),
    }
}

fn is_about_a_message(status: &Status) -> bool {
    matches!(status.code(), tonic::Code::OutOfRange | tonic::Code::Internal)
}

/// Reads a configuration; every wrong field at once.
fn distiller(config: raw::DistillationConfig) -> Result<Distiller> {
    let mut violations = Violations::default();
    let spec = StudentSpec::try_from(config.spec.unwrap_or_default());
    let spec = violations.take("spec", spec);
    let instance: Option<Image> = violations.take("", required_from("instance", config.instance));
    let logits: Option<Logits> = violations.take("", required_from("instance_logits", config.instance_logits));
    let (Some(spec), Some(instance), Some(logits)) = (spec, instance, logits) else {
        violations.finish()?;
        return Err(Error::unexpected("a field was neither read nor refused"));
    };
    let neighbor_count = config.neighbor_count as usize;
    Distiller::new(spec, instance, logits, config.contrast_label.map(Label), neighbor_count)
}

/// Reads a chunk and appends it.
fn push(distiller: &mut Distiller, chunk: raw::LabeledChunk, neighbor_count: usize) -> Result<()> {
    let images: ImageBatch = required_from("images", chunk.images)?;
    if images.is_empty() {
        return Err(Error::invalid("images", "are empty"));
    }
    if distiller.neighbor_count() + images.len() > neighbor_count {
        return Err(Error::invalid("images", format!("are more than the {neighbor_count} that were announced")));
    }
    distiller.push(&images, &chunk.logits)
}

fn present(progress: FitProgress) -> raw::DistillationProgress {
    raw::DistillationProgress {
        neighbor_count: progress.neighbor_count as u32,
        iteration: progress.iteration,
        iteration_count: progress.iteration_count,
        loss: progress.loss,
    }
}

fn response(answer: Answer) -> DistillStudentResponse {
    DistillStudentResponse { answer: Some(answer) }
}
