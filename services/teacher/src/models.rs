//! The teachers of one process: opens them when they are asked for, keeps a few in memory with one
//! engine thread each, trains and evaluates. Knows no tensor library and no wire.

mod evaluation;
mod worker;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use artifacts::Artifacts;
use domain::{
    Attribution, AttributionMethod, AttributionSpec, Error, Image, ImageBatch, Label, Logits, Progress, ResourceName,
    Result, TeacherRecipe, TrainingPhase,
};
use futures::{StreamExt, TryStreamExt, stream};
use runtime::{
    engine::{Engine, EngineConfig},
    gate::Gate,
    long::{LongTask, TrainingQueue},
};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use self::worker::{Answer, ClassifierWorker, Job};
use crate::{
    attribution::occlusion::Occlusion,
    teacher::{Contrast, Description, expect_shape},
    workshop::{TrainedTeacher, Workshop},
};

/// Jobs of one call that are queued at once: the engine always has the next one, and one caller never
/// fills the queue.
const JOBS_IN_FLIGHT: usize = 4;
/// When to ask again for a teacher that is being trained.
const RETRY_AFTER_MS: u64 = 2_000;

/// The teachers of one process. Cheap to share behind an `Arc`.
pub struct Models {
    workshop: Arc<dyn Workshop>,
    artifacts: Artifacts,
    gate: Gate,
    trainings: TrainingQueue,
    capacity: usize,
    /// Least recently used first. Whoever asks for a teacher moves it to the end.
    open: Mutex<Vec<Slot>>,
    /// Being trained by this process; a name stands here once a call.
    training: Arc<Mutex<Vec<ResourceName>>>,
}

struct Slot {
    teacher: ResourceName,
    /// Set by the first caller, awaited by the others; empty again if opening failed.
    serving: Arc<OnceCell<Arc<Serving>>>,
}

/// An open teacher.
struct Serving {
    engine: Engine<Job, Answer>,
    description: Description,
}

/// Answers and where their time went.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// One an image.
    pub logits: Vec<Logits>,
    /// Number of classes, also where there are no images.
    pub label_count: usize,
    /// Longest time that a part of the call waited for the engine.
    pub queue: Duration,
    /// Time in the engine, all parts together.
    pub compute: Duration,
}

/// What moves an answer, with labels still to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributionQuestion {
    /// How it is computed.
    pub method: AttributionMethod,
    /// `None`: the predicted label.
    pub target: Option<Label>,
    /// `None`: the target's logit alone.
    pub baseline: Option<Label>,
}

impl Models {
    /// Keeps at most `capacity` teachers in memory, at least one; `gate` and `trainings` are the process's.
    pub fn new(
        workshop: Arc<dyn Workshop>,
        artifacts: Artifacts,
        gate: Gate,
        trainings: TrainingQueue,
        capacity: usize,
    ) -> Self {
        Self {
            workshop,
            artifacts,
            gate,
            trainings,
            capacity: capacity.max(1),
            open: Mutex::default(),
            training: Arc::default(),
        }
    }

    /// Opens a teacher and warms it, if it is not open.
    pub async fn warm(&self, teacher: &ResourceName) -> Result<Description> {
        Ok(self.serving(teacher).await?.description.clone())
    }

    /// One answer an image. Dropping the future withdraws what the engine has not begun.
    pub async fn classify(&self, teacher: &ResourceName, images: &ImageBatch) -> Result<Classified> {
        let serving = self.serving(teacher).await?;
        expect_shape(images, serving.description.shape)?;
        let batch_size = self.workshop.batch_size().max(1);
        let parts = (0..images.len()).step_by(batch_size).map(|start| images.slice(start, start + batch_size));
        serving.classify(parts).await
    }

    /// Which pixels move the answer. Occlusion asks the served engine, gradients its f32 original.
    pub async fn attribute(
        &self,
        teacher: &ResourceName,
        image: &Image,
        question: AttributionQuestion,
    ) -> Result<Attribution> {
        let serving = self.serving(teacher).await?;
        image.expect_shape(serving.description.shape)?;
        let label_count = serving.description.label_count;
        let choose = |answer: &Logits| {
            Contrast::new(question.target.unwrap_or(answer.predicted_label()), question.baseline, label_count)
        };
        let (contrast, heatmap) = match question.method {
            AttributionMethod::Occlusion { patch_size, stride } => {
                let occlusion = Occlusion::plan(image, patch_size, stride)?;
                let batch_size = self.workshop.batch_size();
                let answers = serving.classify(occlusion.batches(batch_size)).await?.logits;
                let whole = answers.first().ok_or_else(|| Error::unexpected("no answer to the whole image"))?;
                let contrast = choose(whole)?;
                (contrast, occlusion.heatmap(contrast, &answers)?)
            }
            AttributionMethod::GradientTimesInput => {
                let whole = ImageBatch::from_images(image.shape(), [image])?;
                let answers = serving.classify([whole].into_iter()).await?.logits;
                let whole = answers.first().ok_or_else(|| Error::unexpected("no answer to the whole image"))?;
                let contrast = choose(whole)?;
                (contrast, serving.gradient_times_input(image.clone(), contrast).await?)
            }
        };
        let spec = AttributionSpec { method: question.method, target: contrast.target, baseline: contrast.baseline };
        Ok(Attribution { spec, heatmap })
    }

    /// Queues a training behind those that run in this process. The token ends it within one step; its
    /// last checkpoint stays.
    pub fn train(
        &self,
        teacher: ResourceName,
        recipe: TeacherRecipe,
        cancellation: CancellationToken,
    ) -> LongTask<Progress, TrainedTeacher> {
        let mark = TrainingMark::new(&self.training, &teacher);
        let queued = Progress {
            phase: TrainingPhase::Queued,
            epoch: 0,
            epoch_count: recipe.epoch_count,
            step: 0,
            step_count: 0,
            loss: 0.0,
            accuracy: 0.0,
            images_per_second: 0.0,
            remaining_seconds: 0.0,
            loss_curve: Vec::new(),
        };
        let workshop = Arc::clone(&self.workshop);
        self.close(&teacher);
        self.trainings.start(teacher.id(), cancellation, queued, {
            let teacher = teacher.clone();
            move |context| {
                let _mark = mark;
                workshop.train(&teacher, &recipe, context)
            }
        })
    }

    /// Forgets an open teacher, because its weights change. Calls that have it go on to their end.
    fn close(&self, teacher: &ResourceName) {
        lock(&self.open).retain(|slot| slot.teacher != *teacher);
    }

    async fn serving(&self, teacher: &ResourceName) -> Result<Arc<Serving>> {
        if lock(&self.training).contains(teacher) {
            return Err(not_ready(teacher, "it is being trained"));
        }
        let cell = self.slot(teacher);
        let serving = cell.get_or_try_init(|| self.start(teacher)).await?;
        Ok(Arc::clone(serving))
    }

    fn slot(&self, teacher: &ResourceName) -> Arc<OnceCell<Arc<Serving>>> {
        let mut open = lock(&self.open);
        let found = open.iter().position(|slot| slot.teacher == *teacher).map(|position| open.remove(position));
        // A slot whose opening failed is no reason to close another teacher.
        open.retain(|slot| slot.serving.initialized() || Arc::strong_count(&slot.serving) > 1);
        let slot = found.unwrap_or_else(|| Slot { teacher: teacher.clone(), serving: Arc::default() });
        while open.len() >= self.capacity {
            let closed = open.remove(0);
            tracing::info!(teacher.name = %closed.teacher, "closed to make room");
        }
        let cell = Arc::clone(&slot.serving);
        open.push(slot);
        cell
    }

    async fn start(&self, teacher: &ResourceName) -> Result<Arc<Serving>> {
        let (workshop, name) = (Arc::clone(&self.workshop), teacher.clone());
        let config = EngineConfig::new(format!("teacher {}", teacher.id()), workshop.batch_size().max(1));
        let (report, described) = tokio::sync::oneshot::channel();
        let engine = Engine::start(config, self.gate.clone(), move || {
            let classifier = workshop.open(&name)?;
            let description = classifier.description().clone();
            let worker = ClassifierWorker::warmed(classifier, workshop.batch_size().max(1))?;
            // Nobody waits any more if the caller has left; the engine ends then.
            report.send(description).ok();
            Ok(worker)
        })
        .await?;
        let description = described.await.map_err(Error::unexpected)?;
        tracing::info!(teacher.name = %teacher, engine = description.engine, "opened");
        Ok(Arc::new(Serving { engine, description }))
    }
}

impl Serving {
    /// Asks for every part, a few at a time, and joins the answers in order.
    async fn classify(&self, parts: impl Iterator<Item = ImageBatch>) -> Result<Classified> {
        let submissions = parts.map(|part| self.engine.submit(Job::Classify(part)));
        let done: Vec<_> = stream::iter(submissions).buffered(JOBS_IN_FLIGHT).try_collect().await?;
        let mut classified = Classified {
            logits: Vec::new(),
            label_count: self.description.label_count,
            queue: Duration::ZERO,
            compute: Duration::ZERO,
        };
        for part in done {
            classified.queue = classified.queue.max(part.timings.queue);
            classified.compute += part.timings.compute;
            match part.answer {
                Answer::Logits(logits) => classified.logits.extend(logits),
                Answer::Heatmap(_) => return Err(Error::unexpected("a heatmap was answered to images")),
            }
        }
        Ok(classified)
    }

    async fn gradient_times_input(&self, image: Image, contrast: Contrast) -> Result<domain::Heatmap> {
        match self.engine.submit(Job::GradientTimesInput(image, contrast)).await?.answer {
            Answer::Heatmap(heatmap) => Ok(heatmap),
            Answer::Logits(_) => Err(Error::unexpected("logits were answered to a gradient")),
        }
    }
}

/// Marks a teacher as being trained for as long as the training is queued or runs.
struct TrainingMark {
    training: Arc<Mutex<Vec<ResourceName>>>,
    teacher: ResourceName,
}

impl TrainingMark {
    fn new(training: &Arc<Mutex<Vec<ResourceName>>>, teacher: &ResourceName) -> Self {
        lock(training).push(teacher.clone());
        Self { training: Arc::clone(training), teacher: teacher.clone() }
    }
}

impl Drop for TrainingMark {
    fn drop(&mut self) {
        let mut training = lock(&self.training);
        if let Some(position) = training.iter().position(|teacher| *teacher == self.teacher) {
            training.remove(position);
        }
    }
}

/// The answer while a teacher cannot be asked.
pub(crate) fn not_ready(teacher: &ResourceName, description: &str) -> Error {
    Error::ModelNotReady {
        model: teacher.to_string(),
        description: description.to_owned(),
        operation: None,
        retry_after_ms: RETRY_AFTER_MS,
    }
}

/// The lists are whole after every statement, so a panic elsewhere leaves nothing to repair.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
