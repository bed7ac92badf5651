//! Evaluation: every image of a split is answered by the engine that answers live, and all logits are
//! stored once, so that confusion matrices and lists of errors are reads.

use std::{sync::Arc, time::Instant};

use artifacts::{Evaluation, LabeledImages};
use domain::{Error, Progress, ResourceName, Result, TrainingPhase};
use futures::{Stream, stream};

use super::{Models, serving::Serving};

/// An evaluation between two batches.
struct Running {
    models: Arc<Models>,
    serving: Arc<Serving>,
    teacher: ResourceName,
    dataset: ResourceName,
    split: String,
    examples: Arc<LabeledImages>,
    /// Answers so far, image by image.
    logits: Vec<f32>,
    answered: usize,
    correct: u64,
    /// Whether the answers were stored before.
    stored: bool,
    started_at: Instant,
}

impl Models {
    /// Answers a split batch by batch: one snapshot a batch, the last one with phase `Finished`, after
    /// everything is stored. Dropping the stream stops it. What is stored already for these weights and
    /// this engine is not computed again. Waits for each batch before it asks for the next, so that live
    /// callers wait for at most one.
    pub async fn evaluate(
        self: Arc<Self>,
        teacher: ResourceName,
        dataset: ResourceName,
        split: String,
    ) -> Result<impl Stream<Item = Result<Progress>> + Send> {
        let serving = self.serving(&teacher).await?;
        let examples = self.artifacts.split(&dataset, &split).await?;
        crate::teacher::expect_shape(&examples.images, serving.description.shape)?;
        let mut running = Running {
            models: self,
            serving,
            teacher,
            dataset,
            split,
            examples,
            logits: Vec::new(),
            answered: 0,
            correct: 0,
            stored: false,
            started_at: Instant::now(),
        };
        running.take_stored().await?;
        Ok(stream::try_unfold(Some(running), |running| async {
            let Some(mut running) = running else { return Ok(None) };
            if running.answered < running.examples.labels.len() {
                running.answer_batch().await?;
                return Ok(Some((running.progress(TrainingPhase::Evaluating), Some(running))));
            }
            running.store().await?;
            Ok(Some((running.progress(TrainingPhase::Finished), None)))
        }))
    }
}

impl Running {
    async fn take_stored(&mut self) -> Result<()> {
        let description = &self.serving.description;
        let stored = self.models.artifacts.evaluation(&self.teacher, &self.dataset, &self.split).await?;
        let same = stored.filter(|stored| {
            stored.teacher_digest == description.digest
                && stored.engine == description.engine
                && stored.label_count == description.label_count
                && stored.example_count() == self.examples.labels.len()
        });
        if let Some(stored) = same {
            self.stored = true;
            self.answered = stored.example_count();
            let predicted =
                (0..self.answered).filter_map(|index| stored.logits(index)).map(|row| row.predicted_label());
            let pairs = predicted.zip(&self.examples.labels);
            self.correct = pairs.filter(|(label, gold)| label.0 == u32::from(**gold)).count() as u64;
        }
        Ok(())
    }

    async fn answer_batch(&mut self) -> Result<()> {
        let end = self.answered + self.models.workshop.batch_size().max(1);
        let batch = self.examples.images.slice(self.answered, end);
        let answers = self.serving.classify(std::iter::once(batch)).await?.logits;
        let gold = self.examples.labels.get(self.answered..self.answered + answers.len());
        let gold = gold.ok_or_else(|| Error::unexpected("more answers than images"))?;
        for (answer, &gold) in answers.iter().zip(gold) {
            self.correct += u64::from(answer.predicted_label().0 == u32::from(gold));
            self.logits.extend_from_slice(answer.values());
        }
        self.answered += answers.len();
        Ok(())
    }

    async fn store(&mut self) -> Result<()> {
        if self.stored {
            return Ok(());
        }
        let description = &self.serving.description;
        let evaluation = Evaluation {
            logits: std::mem::take(&mut self.logits),
            label_count: description.label_count,
            teacher_digest: description.digest.clone(),
            engine: description.engine.clone(),
        };
        self.models.artifacts.put_evaluation(&self.teacher, &self.dataset, &self.split, &evaluation).await
    }

    fn progress(&self, phase: TrainingPhase) -> Progress {
        let seconds = self.started_at.elapsed().as_secs_f64();
        let images_per_second = if seconds > 0.0 { self.answered as f64 / seconds } else { 0.0 };
        let left = (self.examples.labels.len() - self.answered) as f64;
        Progress {
            phase,
            epoch: 0,
            epoch_count: 0,
            step: self.answered as u64,
            step_count: self.examples.labels.len() as u64,
            loss: 0.0,
            accuracy: self.correct as f64 / (self.answered as f64).max(1.0),
            images_per_second,
            remaining_seconds: if images_per_second > 0.0 { left / images_per_second } else { 0.0 },
            loss_curve: Vec::new(),
        }
    }
}
