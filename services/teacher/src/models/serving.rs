//! An open teacher: its engine, and how a call's images travel through it.

use std::{sync::Arc, time::Duration};

use artifacts::{Artifacts, Slot};
use domain::{Error, Heatmap, Image, ImageBatch, Logits, ResourceName, Result};
use futures::{StreamExt, TryStreamExt, stream};
use runtime::{
    engine::{Engine, EngineConfig, QueueConfig},
    gate::Gate,
};

use super::worker::{Answer, ClassifierWorker, Job};
use crate::{
    teacher::{Contrast, Description},
    workshop::Workshop,
};

/// Jobs of one call that are queued at once: the engine always has the next one, and one caller never
/// fills the queue.
const JOBS_IN_FLIGHT: usize = 4;
/// How long a caller waits to learn whether its teacher was deleted.
const PATIENCE: Duration = Duration::from_secs(1);

/// An open teacher.
pub(super) struct Serving {
    engine: Engine<Job, Answer>,
    /// What it is.
    pub(super) description: Description,
    /// The digest under which the store had its weights before they were read.
    stored_as: Option<String>,
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

impl Serving {
    /// Opens a teacher on a thread of its own and warms it.
    pub(super) async fn start(
        workshop: Arc<dyn Workshop>,
        artifacts: &Artifacts,
        queue: QueueConfig,
        gate: Gate,
        teacher: &ResourceName,
    ) -> Result<Arc<Self>> {
        let stored_as = stored_digest(artifacts, teacher).await?;
        let name = teacher.clone();
        let config = EngineConfig::queued(format!("teacher {}", teacher.id()), workshop.batch_size().max(1), queue);
        let (report, described) = tokio::sync::oneshot::channel();
        let engine = Engine::start(config, gate, move || {
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
        Ok(Arc::new(Self { engine, description, stored_as }))
    }

    /// Whether the store has other weights now, or none. A store that does not answer within [`PATIENCE`] is
    /// no reason to close a teacher that can.
    pub(super) async fn is_outdated(&self, artifacts: &Artifacts, teacher: &ResourceName) -> bool {
        match tokio::time::timeout(PATIENCE, stored_digest(artifacts, teacher)).await {
            Ok(Ok(digest)) => digest != self.stored_as,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Asks for every part, a few at a time, and joins the answers in order.
    pub(super) async fn classify(&self, parts: impl Iterator<Item = ImageBatch>) -> Result<Classified> {
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
                Answer::Heatmap(..) => return Err(Error::unexpected("a heatmap was answered to images")),
            }
        }
        Ok(classified)
    }

    /// On the f32 original; with the original's own answer.
    pub(super) async fn gradient_times_input(&self, image: Image, contrast: Contrast) -> Result<(Heatmap, Logits)> {
        match self.engine.submit(Job::GradientTimesInput(image, contrast)).await?.answer {
            Answer::Heatmap(heatmap, logits) => Ok((heatmap, logits)),
            Answer::Logits(_) => Err(Error::unexpected("logits were answered to a gradient")),
        }
    }
}

async fn stored_digest(artifacts: &Artifacts, teacher: &ResourceName) -> Result<Option<String>> {
    Ok(artifacts.checkpoint_info(teacher, Slot::Final).await?.map(|info| info.digest))
}
