//! The teachers of one process: opens them when they are asked for, keeps a few in memory with one
//! engine thread each, trains and evaluates. Knows no tensor library and no wire.

mod evaluation;
mod serving;
mod shelf;
mod worker;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use artifacts::Artifacts;
use domain::{
    Attribution, AttributionMethod, AttributionSpec, Error, Image, ImageBatch, Label, Logits, Progress, ResourceName,
    Result, TeacherRecipe, Temperature,
};
use runtime::{
    engine::QueueConfig,
    gate::Gate,
    long::{LongTask, TrainingQueue},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::serving::Classified;
use self::{serving::Serving, shelf::Shelf};
use crate::{
    attribution::occlusion::Occlusion,
    teacher::{Contrast, Description, expect_shape},
    workshop::{TrainedTeacher, Workshop},
};

/// How long a teacher may go on to answer after it was deleted, or trained anew by another process.
const OUTDATED_FOR: Duration = Duration::from_secs(1);

/// The teachers of one process. Cheap to share behind an `Arc`.
pub struct Models {
    workshop: Arc<dyn Workshop>,
    artifacts: Artifacts,
    gate: Gate,
    trainings: TrainingQueue,
    queue: QueueConfig,
    open: Shelf<Serving>,
    /// When the open teachers were last compared with the store. The first caller for whom that was long
    /// ago writes it and does so again.
    compared_at: Mutex<Instant>,
    /// Being trained by this process, queued or running; a name stands here once a call. Marks write,
    /// callers that must not ask such a teacher read, and the end of the process waits for it to empty.
    training: watch::Sender<Vec<ResourceName>>,
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
            queue: QueueConfig::default(),
            open: Shelf::new(capacity),
            compared_at: Mutex::new(Instant::now()),
            training: watch::Sender::default(),
        }
    }

    /// With this queue in front of each teacher.
    #[must_use]
    pub fn with_queue(self, queue: QueueConfig) -> Self {
        Self { queue, ..self }
    }

    /// The queue in front of each teacher.
    pub fn queue(&self) -> QueueConfig {
        self.queue
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

    /// Which pixels move the answer. Occlusion asks the served engine, gradients its f32 original, whose own
    /// answer is told where it is another class.
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
        let Description { engine, gradient_engine, .. } = &serving.description;
        let (contrast, heatmap, engine, dissent) = match question.method {
            AttributionMethod::Occlusion { patch_size, stride } => {
                let occlusion = Occlusion::plan(image, patch_size, stride)?;
                let batch_size = self.workshop.batch_size();
                let answers = serving.classify(occlusion.batches(batch_size)).await?.logits;
                let whole = answers.first().ok_or_else(|| Error::unexpected("no answer to the whole image"))?;
                let contrast = choose(whole)?;
                (contrast, occlusion.heatmap(contrast, &answers)?, engine, None)
            }
            AttributionMethod::GradientTimesInput => {
                let whole = ImageBatch::from_images(image.shape(), [image])?;
                let answers = serving.classify([whole].into_iter()).await?.logits;
                let whole = answers.first().ok_or_else(|| Error::unexpected("no answer to the whole image"))?;
                let contrast = choose(whole)?;
                let (heatmap, original) = serving.gradient_times_input(image.clone(), contrast).await?;
                let dissents = original.predicted_label() != whole.predicted_label();
                let dissent = dissents.then(|| original.soft_labels(Temperature::ONE));
                (contrast, heatmap, gradient_engine, dissent)
            }
        };
        let spec = AttributionSpec { method: question.method, target: contrast.target, baseline: contrast.baseline };
        Ok(Attribution { spec, heatmap, engine: engine.clone(), dissent })
    }

    /// Queues a training behind those that run in this process; `QueueFull` where it takes no more. The token
    /// ends it within one step; its last checkpoint stays.
    pub fn train(
        &self,
        teacher: ResourceName,
        recipe: TeacherRecipe,
        cancellation: CancellationToken,
    ) -> Result<LongTask<Progress, TrainedTeacher>> {
        let mark = TrainingMark::new(&self.training, &teacher);
        let queued = Progress::queued(recipe.epoch_count);
        let workshop = Arc::clone(&self.workshop);
        let task = self.trainings.start(teacher.id(), cancellation, queued, {
            let teacher = teacher.clone();
            move |context| {
                let _mark = mark;
                workshop.train(&teacher, &recipe, context)
            }
        })?;
        // Its weights change. Calls that have it go on to their end.
        self.open.remove(&teacher);
        Ok(task)
    }

    /// Waits until nothing is being trained. Trainings that were cancelled still write a checkpoint.
    pub async fn trainings_ended(&self) {
        let mut training = self.training.subscribe();
        // The sender is ours, so that the wait cannot fail.
        training.wait_for(Vec::is_empty).await.ok();
    }

    async fn serving(&self, teacher: &ResourceName) -> Result<Arc<Serving>> {
        if self.training.borrow().contains(teacher) {
            return Err(Error::model_not_ready(teacher, "it is being trained", None));
        }
        self.close_outdated().await;
        let cell = self.open.cell(teacher);
        let start =
            || Serving::start(Arc::clone(&self.workshop), &self.artifacts, self.queue, self.gate.clone(), teacher);
        Ok(Arc::clone(cell.get_or_try_init(start).await?))
    }

    /// Closes teachers whose weights were deleted or replaced since they were opened. Looks at the store, and
    /// not at who deletes: a call could tell one replica only. Calls that have such a teacher go on to their end.
    async fn close_outdated(&self) {
        {
            let mut compared_at = self.compared_at.lock().unwrap_or_else(PoisonError::into_inner);
            if compared_at.elapsed() < OUTDATED_FOR {
                return;
            }
            *compared_at = Instant::now();
        }
        for (teacher, serving) in self.open.filled() {
            if serving.is_outdated(&self.artifacts, &teacher).await {
                tracing::info!(teacher.name = %teacher, "closed: its weights are no longer in the store");
                self.open.take_down(&teacher, &serving);
            }
        }
    }
}

/// Marks a teacher as being trained for as long as the training is queued or runs.
struct TrainingMark {
    training: watch::Sender<Vec<ResourceName>>,
    teacher: ResourceName,
}

impl TrainingMark {
    fn new(training: &watch::Sender<Vec<ResourceName>>, teacher: &ResourceName) -> Self {
        training.send_modify(|names| names.push(teacher.clone()));
        Self { training: training.clone(), teacher: teacher.clone() }
    }
}

impl Drop for TrainingMark {
    fn drop(&mut self) {
        self.training.send_modify(|names| {
            if let Some(position) = names.iter().position(|name| *name == self.teacher) {
                names.remove(position);
            }
        });
    }
}
