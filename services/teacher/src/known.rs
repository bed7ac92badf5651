//! Teachers whose answers and explanations are known in closed form, for tests of everything that
//! stands behind the [`Classifier`] port. No libtorch.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    Architecture, Error, Image, ImageBatch, ImageShape, LinearClassifier, Logits, LossPoint, Progress, ResourceName,
    Result, TeacherRecipe, TrainingPhase,
};
use runtime::long::LongContext;

use crate::{
    teacher::{Classifier, Contrast, Description, InputGradient, expect_shape},
    workshop::{TrainedTeacher, Workshop},
};

/// W x + b: its gradient is W, its occlusion map the weights averaged by ink.
#[derive(Debug, Clone)]
pub struct LinearTeacher {
    classifier: LinearClassifier,
    /// What gradients are taken of.
    copy: LinearClassifier,
    description: Description,
}

impl LinearTeacher {
    /// One full weight map a label, no biases.
    ///
    /// # Panics
    /// When a map does not fill the shape.
    pub fn new(shape: ImageShape, weights: Vec<Vec<f64>>) -> Self {
        let biases = vec![0.0; weights.len()];
        Self::from(LinearClassifier::new(shape, weights, biases).expect("one full, finite map a label"))
    }

    /// Takes gradients of another classifier of the same shape and labels, as a teacher in bf16 takes them of
    /// its f32 copy.
    #[must_use]
    pub fn with_gradients_of(self, copy: LinearClassifier) -> Self {
        let description = Description { gradient_engine: "linear f64 copy".to_owned(), ..self.description };
        Self { copy, description, ..self }
    }
}

impl From<LinearClassifier> for LinearTeacher {
    fn from(classifier: LinearClassifier) -> Self {
        let values = classifier.weights().iter().flatten().chain(classifier.biases());
        // FNV-1a over the weights' bits: enough to tell two of them apart.
        let digest = values
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, value| (hash ^ value.to_bits()).wrapping_mul(0x0000_0100_0000_01b3));
        let description = Description {
            shape: classifier.shape(),
            label_count: classifier.label_count(),
            digest: format!("{digest:064x}"),
            engine: "linear f64".to_owned(),
            gradient_engine: "linear f64".to_owned(),
        };
        Self { copy: classifier.clone(), classifier, description }
    }
}

impl Classifier for LinearTeacher {
    fn description(&self) -> &Description {
        &self.description
    }

    fn logits(&self, images: &ImageBatch) -> Result<Vec<Logits>> {
        expect_shape(images, self.description.shape)?;
        images.iter().map(|pixels| answer(&self.classifier, pixels)).collect()
    }

    fn input_gradient(&self, image: &Image, contrast: Contrast) -> Result<InputGradient> {
        image.expect_shape(self.description.shape)?;
        let slopes = match contrast.baseline {
            Some(baseline) => self.copy.contrast_map(contrast.target, baseline)?,
            None => self.copy.weight_map(contrast.target)?,
        };
        Ok(InputGradient { slopes, logits: answer(&self.copy, image.pixels())? })
    }
}

fn answer(classifier: &LinearClassifier, pixels: &[u8]) -> Result<Logits> {
    let unit: Vec<f64> = pixels.iter().map(|&pixel| f64::from(pixel) / 255.0).collect();
    Logits::new(classifier.logits(&unit).into_iter().map(|logit| logit as f32).collect())
}

/// A workshop of known teachers: some are there from the start, every training makes one and the same.
#[derive(Debug)]
pub struct KnownWorkshop {
    /// By name. Trainings add to it.
    teachers: Mutex<HashMap<ResourceName, LinearTeacher>>,
    /// What every training ends with.
    graduate: LinearTeacher,
    /// Steps of a training.
    step_count: u64,
    /// How long a step takes.
    step_duration: Duration,
}

impl KnownWorkshop {
    /// Trainings end with `graduate` after ten quick steps.
    pub fn new(graduate: LinearTeacher) -> Self {
        Self { teachers: Mutex::default(), graduate, step_count: 10, step_duration: Duration::from_millis(1) }
    }

    /// A teacher that is there from the start.
    #[must_use]
    pub fn with_teacher(self, name: ResourceName, teacher: LinearTeacher) -> Self {
        self.put(name, teacher);
        self
    }

    /// Puts a teacher in place of the one that was there, as another process would.
    pub fn put(&self, name: ResourceName, teacher: LinearTeacher) {
        self.teachers().insert(name, teacher);
    }

    /// Trainings that take longer.
    #[must_use]
    pub fn with_steps(self, step_count: u64, step_duration: Duration) -> Self {
        Self { step_count, step_duration, ..self }
    }

    /// Deletes a teacher's weights, as far as a workshop has any.
    pub fn forget(&self, name: &ResourceName) {
        self.teachers().remove(name);
    }

    fn teachers(&self) -> MutexGuard<'_, HashMap<ResourceName, LinearTeacher>> {
        self.teachers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workshop for KnownWorkshop {
    fn batch_size(&self) -> usize {
        16
    }

    fn open(&self, teacher: &ResourceName) -> Result<Box<dyn Classifier>> {
        match self.teachers().get(teacher) {
            Some(known) => Ok(Box::new(known.clone())),
            None => Err(Error::NotFound { kind: "TEACHER", resource: teacher.to_string() }),
        }
    }

    fn train(
        &self,
        teacher: &ResourceName,
        recipe: &TeacherRecipe,
        context: &LongContext<Progress>,
    ) -> Result<TrainedTeacher> {
        for step in 1..=self.step_count {
            context.check()?;
            context.step(|| std::thread::sleep(self.step_duration));
            let loss = 1.0 / step as f64;
            context.report(Progress {
                phase: TrainingPhase::Training,
                epoch: (step * u64::from(recipe.epoch_count) / self.step_count) as u32,
                epoch_count: recipe.epoch_count,
                step,
                step_count: self.step_count,
                loss,
                accuracy: 1.0 - loss,
                images_per_second: 1_000.0,
                remaining_seconds: 0.0,
                loss_curve: vec![LossPoint { step, loss }],
            });
        }
        let Description { digest, engine, .. } = self.graduate.description.clone();
        self.teachers().insert(teacher.clone(), self.graduate.clone());
        Ok(TrainedTeacher { digest, engine, architecture: Architecture::SmallCnn })
    }
}
