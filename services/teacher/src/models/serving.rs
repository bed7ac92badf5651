//! An open teacher: its engine, and how a call's images travel through it.

use std::{sync::Arc, time::Duration};

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

/// An open teacher.
pub(super) struct Serving {
    engine: Engine<Job, Answer>,
    /// What it is.
    pub(super) description: Description,
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
        queue: QueueConfig,
        gate: Gate,
        teacher: &ResourceName,
    ) -> Result<Arc<Self>> {
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
        Ok(Arc::new(Self { engine, description }))
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
                Answer::Heatmap(_) => return Err(Error::unexpected("a heatmap was answered to images")),
            }
        }
        Ok(classified)
    }

    /// On the f32 original.
    pub(super) async fn gradient_times_input(&self, image: Image, contrast: Contrast) -> Result<Heatmap> {
        match self.engine.submit(Job::GradientTimesInput(image, contrast)).await?.answer {
            Answer::Heatmap(heatmap) => Ok(heatmap),
            Answer::Logits(_) => Err(Error::unexpected("logits were answered to a gradient")),
        }
    }
}
