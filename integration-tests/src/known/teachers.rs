//! Teachers that are a formula, and the workshop that they come from.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    Architecture, Error, Heatmap, Image, ImageBatch, LinearClassifier, Logits, LossPoint, Progress, ResourceName,
    Result, TeacherRecipe, TrainingPhase,
};
use runtime::long::LongContext;
use teacher::{
    teacher::{Classifier, Contrast, Description, InputGradient, expect_shape},
    workshop::{TrainedTeacher, Workshop},
};

use super::{
    autoencoders::ENDLESS_SEED,
    images::{LABEL_COUNT, Numbers, SHAPE},
};
use crate::brake::Brake;

/// Rows and columns of the planted patch: two by two pixels in the middle, so that every pixel around it is
/// under as many 3×3 windows as those inside.
pub const PATCH: (std::ops::Range<usize>, std::ops::Range<usize>) = (3..5, 3..5);

/// The images of an explanation's chunk: each chunk is one batch.
const BATCH_SIZE: usize = 125;
/// Steps of a training.
const STEP_COUNT: u64 = 5;

type Formula = Arc<dyn Fn(&[f64]) -> Vec<f64> + Send + Sync>;

/// A formula from pixels in `[0, 1]` to logits.
#[derive(Clone)]
pub struct KnownTeacher {
    description: Description,
    formula: Formula,
    /// What a batch takes, whatever is in it.
    batch_time: Duration,
}

/// Fixed weights in ±2.
pub fn linear_classifier() -> LinearClassifier {
    let mut numbers = Numbers::new(42);
    let mut map = || (0..SHAPE.pixel_count()).map(|_| 4.0 * numbers.unit() - 2.0).collect::<Vec<f64>>();
    let weights: Vec<Vec<f64>> = (0..LABEL_COUNT).map(|_| map()).collect();
    // The biases make all classes equally likely at middling gray.
    let biases = weights.iter().map(|map| -0.5 * map.iter().sum::<f64>()).collect();
    LinearClassifier::new(SHAPE, weights, biases).expect("one full, finite map a label")
}

impl KnownTeacher {
    /// W x + b.
    pub fn linear() -> Self {
        let classifier = linear_classifier();
        Self::new("linear", move |pixels| classifier.logits(pixels))
    }

    /// Looks at nothing but a patch: class 1 if its mean ink is above a half, smoothly and not linearly.
    pub fn planted() -> Self {
        Self::new("planted", |pixels| {
            let inside = PATCH.0.flat_map(|row| PATCH.1.map(move |column| row * SHAPE.width + column));
            let mean = inside.map(|index| pixels[index]).sum::<f64>() / (PATCH.0.len() * PATCH.1.len()) as f64;
            vec![0.0, 6.0 * (4.0 * (mean - 0.5)).tanh(), -3.0]
        })
    }

    fn new(name: &str, formula: impl Fn(&[f64]) -> Vec<f64> + Send + Sync + 'static) -> Self {
        let description = Description {
            shape: SHAPE,
            label_count: LABEL_COUNT,
            digest: format!("{name:0>64}"),
            engine: format!("formula f64, batch {BATCH_SIZE}"),
            gradient_engine: "formula f64, differences".to_owned(),
        };
        Self { description, formula: Arc::new(formula), batch_time: Duration::ZERO }
    }

    /// The same, with batches that take so long: a teacher of known speed.
    #[must_use]
    pub fn taking(self, batch_time: Duration) -> Self {
        Self { batch_time, ..self }
    }

    /// Its answer to one image.
    pub fn answer(&self, image: &Image) -> Logits {
        let pixels: Vec<f64> = image.unit_pixels().collect();
        Logits::new((self.formula)(&pixels).into_iter().map(|logit| logit as f32).collect()).expect("finite logits")
    }
}

/// The teacher on its engine thread.
struct Braked {
    teacher: KnownTeacher,
    brake: Arc<Brake>,
}

impl Classifier for Braked {
    fn description(&self) -> &Description {
        &self.teacher.description
    }

    fn logits(&self, images: &ImageBatch) -> Result<Vec<Logits>> {
        expect_shape(images, SHAPE)?;
        self.brake.pass(images.len());
        std::thread::sleep(self.teacher.batch_time);
        Ok((0..images.len()).filter_map(|i| images.image(i)).map(|image| self.teacher.answer(&image)).collect())
    }

    /// Central differences: exact for a linear formula but for rounding.
    fn input_gradient(&self, image: &Image, contrast: Contrast) -> Result<InputGradient> {
        let pixels: Vec<f64> = image.unit_pixels().collect();
        let score = |pixels: &[f64]| {
            let logits = (self.teacher.formula)(pixels);
            logits[contrast.target.index()] - contrast.baseline.map_or(0.0, |baseline| logits[baseline.index()])
        };
        let step = 1e-4;
        let slope = |index: usize| {
            let (mut more, mut less) = (pixels.clone(), pixels.clone());
            more[index] += step;
            less[index] -= step;
            ((score(&more) - score(&less)) / (2.0 * step)) as f32
        };
        let slopes = Heatmap::new(SHAPE, (0..pixels.len()).map(slope).collect())?;
        Ok(InputGradient { slopes, logits: self.teacher.answer(image) })
    }
}

/// Every training ends with the same known teacher, after a few steps, or never with [`ENDLESS_SEED`].
pub struct KnownWorkshop {
    teacher: KnownTeacher,
    brake: Arc<Brake>,
    batch_size: usize,
    /// Trained so far. Written by trainings; shared by replicas, as a store is.
    trained: Arc<Mutex<HashMap<ResourceName, u64>>>,
}

impl KnownWorkshop {
    /// Nothing is trained yet.
    pub fn new(teacher: KnownTeacher, brake: Arc<Brake>) -> Self {
        Self { teacher, brake, batch_size: BATCH_SIZE, trained: Arc::default() }
    }

    /// Another process's workshop over the same store, with a brake of its own.
    pub fn replica(&self, brake: Arc<Brake>) -> Self {
        let (teacher, trained) = (self.teacher.clone(), Arc::clone(&self.trained));
        Self { teacher, brake, batch_size: self.batch_size, trained }
    }

    /// With batches of this size and a teacher that is trained already.
    #[must_use]
    pub fn with_teacher(self, name: &ResourceName, batch_size: usize) -> Self {
        self.trained().insert(name.clone(), 0);
        Self { batch_size, ..self }
    }

    fn trained(&self) -> MutexGuard<'_, HashMap<ResourceName, u64>> {
        self.trained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workshop for KnownWorkshop {
    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn open(&self, name: &ResourceName) -> Result<Box<dyn Classifier>> {
        if !self.trained().contains_key(name) {
            return Err(Error::NotFound { kind: "TEACHER", resource: name.to_string() });
        }
        Ok(Box::new(Braked { teacher: self.teacher.clone(), brake: Arc::clone(&self.brake) }))
    }

    fn train(
        &self,
        name: &ResourceName,
        recipe: &TeacherRecipe,
        context: &LongContext<Progress>,
    ) -> Result<TrainedTeacher> {
        train(recipe.seed, recipe.epoch_count, context)?;
        self.trained().insert(name.clone(), recipe.seed);
        let Description { digest, engine, .. } = self.teacher.description.clone();
        Ok(TrainedTeacher { digest, engine, architecture: Architecture::SmallCnn })
    }
}

/// Steps that do nothing but report.
pub(super) fn train(seed: u64, epoch_count: u32, context: &LongContext<Progress>) -> Result<()> {
    let mut step = 0;
    while step < STEP_COUNT || seed == ENDLESS_SEED {
        context.check()?;
        context.step(|| std::thread::sleep(Duration::from_millis(1)));
        step += 1;
        let loss = 1.0 / step as f64;
        context.report(Progress {
            phase: TrainingPhase::Training,
            epoch: 0,
            epoch_count,
            step,
            step_count: STEP_COUNT,
            loss,
            accuracy: 0.0,
            images_per_second: 1_000.0,
            remaining_seconds: 0.0,
            loss_curve: vec![LossPoint { step, loss }],
        });
    }
    Ok(())
}
