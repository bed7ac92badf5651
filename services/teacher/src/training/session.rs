//! One training in memory: a network, its optimizer and where it stands. Takes steps, gives and takes
//! checkpoints; when to do which is the caller's affair.

use domain::{Error, ImageBatch, Label, Progress, Result, TeacherRecipe};
use tch::{Kind, Tensor};
use torch::{Checkpoint, Optimizer, Randomness, SgdNesterov, gradients};

use super::{
    journal::{Journal, Speed},
    schedule::{Plan, learning_rate},
};
use crate::{
    networks::{Network, convolution::Mode},
    served::Precision,
};

/// As He et al. 2015 trained ResNets.
const MOMENTUM: f64 = 0.9;
/// Stream of the seed that the order of epoch 0 is drawn from; epoch n has the n-th after it.
const ORDER_STREAM: u64 = 1 << 32;

/// Labelled images to learn from.
#[derive(Debug, Clone)]
pub struct Examples {
    /// At least one.
    pub images: ImageBatch,
    /// One an image.
    pub labels: Vec<Label>,
}

/// A training between two steps.
pub struct Session {
    /// The weights so far.
    pub network: Network,
    optimizer: SgdNesterov,
    plan: Plan,
    examples: Examples,
    recipe: TeacherRecipe,
    precision: Precision,
    /// Steps done.
    step: u64,
    /// Data order of the epoch that the next step belongs to.
    order: (u64, Vec<i64>),
    journal: Journal,
    speed: Speed,
}

impl Session {
    /// At step 0.
    pub fn new(network: Network, examples: Examples, recipe: &TeacherRecipe, precision: Precision) -> Result<Self> {
        let image_count = examples.images.len();
        let labels_fit = examples.labels.iter().all(|label| label.index() < network.label_count);
        if image_count == 0 || examples.labels.len() != image_count || !labels_fit {
            return Err(Error::invalid("training_split", "has no images, or labels that the network does not have"));
        }
        let optimizer = SgdNesterov::new(&network.parameters, MOMENTUM, recipe.weight_decay)?;
        let plan = Plan::new(image_count, recipe.batch_size, recipe.epoch_count);
        Ok(Self {
            order: (0, order(recipe.seed, 0, image_count)),
            network,
            optimizer,
            plan,
            examples,
            recipe: recipe.clone(),
            precision,
            step: 0,
            journal: Journal::default(),
            speed: Speed::since(0),
        })
    }

    /// Goes on from a checkpoint of the same recipe. `Ok(false)`, and nothing changed, if it is of
    /// another one.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<bool> {
        if checkpoint.metadata.get("recipe") != Some(&self.fingerprint()) {
            return Ok(false);
        }
        let step: u64 = checkpoint.number("step")?;
        let journal =
            checkpoint.metadata.get("journal").map_or(Ok(Journal::default()), |text| Journal::from_text(text))?;
        self.network.parameters.load(checkpoint)?;
        self.optimizer.load(checkpoint)?;
        self.step = step.min(self.plan.step_count());
        self.journal = journal;
        self.speed = Speed::since(self.step);
        Ok(true)
    }

    /// All that is needed to go on: weights, buffers, moments, step, and seed of the data order.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint::of(&self.network.parameters)?
            .with(self.optimizer.state())
            .note("recipe", self.fingerprint())
            .note("step", self.step)
            .note("journal", self.journal.to_text()))
    }

    /// What must be equal for two trainings to be one: the recipe, the data's size and the number type.
    fn fingerprint(&self) -> String {
        format!("{:?}, {} images, {:?}", self.recipe, self.examples.images.len(), self.precision)
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.step >= self.plan.step_count()
    }

    /// Whether the last step ended an epoch.
    pub fn is_between_epochs(&self) -> bool {
        self.plan.place(self.step).1 == 0
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.journal.progress(&self.plan, self.step, &self.speed)
    }

    /// One step of stochastic gradient descent. A loss that is not finite is the recipe's fault.
    pub fn step(&mut self) -> Result<()> {
        let (epoch, place) = self.plan.place(self.step);
        if self.order.0 != epoch {
            self.order = (epoch, order(self.recipe.seed, epoch, self.examples.images.len()));
        }
        let start = place as usize * self.plan.batch_size;
        let (images, labels) = self.examples.pick(&self.order.1[start..start + self.plan.batch_size])?;
        let rate = learning_rate(self.step, self.plan.step_count(), self.recipe.learning_rate);
        let (loss, correct) = torch::contain(|| {
            let labels = Tensor::from_slice(&labels).to_device(self.network.device()); // [image]
            let x = torch::tensors::channels_last(&self.network.read(&images)?)?.to_kind(self.precision.kind());
            let logits = self.network.layers.forward(&x, Mode::Train); // [image, label]
            let loss = logits.cross_entropy_for_logits(&labels);
            let correct = logits.argmax(1, false).eq_tensor(&labels).sum(Kind::Int64).int64_value(&[]);
            let value = loss.double_value(&[]);
            if value.is_finite() {
                let gradients = gradients(&loss, &self.network.parameters)?;
                self.optimizer.step(&self.network.parameters, gradients, rate)?;
            }
            Ok((value, correct))
        })?;
        if !loss.is_finite() {
            return Err(Error::FailedPrecondition {
                reason: "TRAINING_DIVERGED",
                subject: "recipe".to_owned(),
                description: format!("the loss became {loss} at step {}: use a smaller learning rate", self.step),
            });
        }
        self.step += 1;
        self.journal.note(&self.plan, self.step, loss, correct as u64);
        Ok(())
    }
}

impl Examples {
    fn pick(&self, indices: &[i64]) -> Result<(ImageBatch, Vec<i64>)> {
        let mut pixels = Vec::with_capacity(indices.len() * self.images.shape().pixel_count());
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let index = index as usize;
            pixels.extend_from_slice(self.images.get(index).ok_or_else(|| Error::unexpected("an image is missing"))?);
            labels.push(i64::from(self.labels[index].0));
        }
        Ok((ImageBatch::new(self.images.shape(), pixels)?, labels))
    }
}

/// The order in which epoch `epoch` sees the images.
fn order(seed: u64, epoch: u64, image_count: usize) -> Vec<i64> {
    Randomness::new(seed, ORDER_STREAM + epoch).permutation(image_count)
}
