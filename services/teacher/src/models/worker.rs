//! What an engine thread does with its classifier: joins the images of several callers into one batch.

use domain::{Error, Heatmap, Image, ImageBatch, Logits, Result};
use runtime::engine::Worker;

use crate::{
    attribution::gradient::gradient_times_input,
    teacher::{Classifier, Contrast},
};

/// One caller's request.
pub(super) enum Job {
    /// Logits of images of the teacher's shape.
    Classify(ImageBatch),
    /// Gradient × input of one image.
    GradientTimesInput(Image, Contrast),
}

/// What the caller gets.
pub(super) enum Answer {
    /// One an image.
    Logits(Vec<Logits>),
    /// One value a pixel, and the answer that it explains.
    Heatmap(Heatmap, Logits),
}

/// Owns the classifier.
pub(super) struct ClassifierWorker {
    classifier: Box<dyn Classifier>,
    batch_size: usize,
}

impl ClassifierWorker {
    /// Answers a blank image first, so that the first caller does not wait for libraries to settle.
    pub(super) fn warmed(classifier: Box<dyn Classifier>, batch_size: usize) -> Result<Self> {
        let shape = classifier.description().shape;
        let blank = ImageBatch::new(shape, vec![0; shape.pixel_count()])?;
        classifier.logits(&blank)?;
        Ok(Self { classifier, batch_size })
    }

    /// The images of all callers as one batch; each caller gets its own part of the answers.
    fn classify(&self, batches: &[&ImageBatch]) -> Result<Vec<Vec<Logits>>> {
        let mut joined = ImageBatch::empty(self.classifier.description().shape);
        for batch in batches {
            joined.extend(batch)?;
        }
        let mut answers = self.classifier.logits(&joined)?.into_iter();
        let parts: Vec<Vec<Logits>> =
            batches.iter().map(|batch| answers.by_ref().take(batch.len()).collect()).collect();
        let complete = parts.iter().zip(batches).all(|(part, batch)| part.len() == batch.len());
        if complete { Ok(parts) } else { Err(Error::unexpected("the classifier answered too few images")) }
    }
}

impl Worker for ClassifierWorker {
    type Job = Job;
    type Answer = Answer;

    fn cost(&self, job: &Job) -> usize {
        match job {
            Job::Classify(images) => images.len().max(1),
            Job::GradientTimesInput(..) => self.batch_size,
        }
    }

    fn run(&mut self, jobs: Vec<Job>) -> Vec<Result<Answer>> {
        let batches: Vec<&ImageBatch> =
            jobs.iter().filter_map(|job| if let Job::Classify(images) = job { Some(images) } else { None }).collect();
        let mut parts = match self.classify(&batches) {
            Ok(parts) => parts.into_iter().map(|part| Ok(Answer::Logits(part))).collect::<Vec<_>>().into_iter(),
            Err(error) => batches.iter().map(|_| Err(error.clone())).collect::<Vec<_>>().into_iter(),
        };
        let answer = |job: &Job| match job {
            Job::Classify(_) => parts.next().unwrap_or_else(|| Err(Error::unexpected("a job without an answer"))),
            Job::GradientTimesInput(image, contrast) => {
                let product = gradient_times_input(self.classifier.as_ref(), image, *contrast);
                product.map(|(map, logits)| Answer::Heatmap(map, logits))
            }
        };
        jobs.iter().map(answer).collect()
    }
}
