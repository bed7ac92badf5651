//! What there is to look at: data sets, teachers, autoencoders, examples.

use crate::{
    error::{Result, Violations},
    image::{Image, ImageShape},
    label::{Label, SoftLabels},
    name::ResourceName,
};

/// Labelled images.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// `datasets/{d}`.
    pub name: ResourceName,
    /// For people: `MNIST`.
    pub display_name: String,
    /// Shape of every image.
    pub shape: ImageShape,
    /// One a label, in label order.
    pub label_names: Vec<String>,
    /// Its files.
    pub splits: Vec<Split>,
}

/// One file of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// As the files are called: `train`, `t10k`.
    pub id: String,
    /// Images in it.
    pub example_count: u64,
}

/// A labelled image, with a teacher's answer where one was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// `datasets/{d}/examples/{split}-{index}`.
    pub name: ResourceName,
    /// Position in its split, from 0.
    pub index: u64,
    /// Its pixels.
    pub image: Image,
    /// From the data set.
    pub gold_label: Label,
    /// The teacher's answer at temperature 1, from the stored evaluation.
    pub soft_labels: Option<SoftLabels>,
}

/// Networks that the teacher service knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// ResNet-50 with a 7×7 stem, for small gray images.
    Resnet50,
    /// Two convolutions and a dense layer: trains in seconds, for tests and first looks.
    SmallCnn,
}

/// Whether a model can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelState {
    /// Queued, training or being evaluated.
    Training,
    /// Can answer.
    Ready,
    /// Its training ended with an error or was cancelled; the text says which, for people.
    Failed(String),
}

/// How a teacher's weights come about.
#[derive(Debug, Clone, PartialEq)]
pub enum TeacherSource {
    /// From random weights.
    Train(Architecture),
    /// From the weights of another teacher.
    FineTune(ResourceName),
}

/// All that determines a teacher.
#[derive(Debug, Clone, PartialEq)]
pub struct TeacherRecipe {
    /// Where its weights start.
    pub source: TeacherSource,
    /// `datasets/{d}`.
    pub dataset: ResourceName,
    /// Split it learns from.
    pub training_split: String,
    /// Split it is judged on.
    pub evaluation_split: String,
    /// 1 to 1,000.
    pub epoch_count: u32,
    /// 1 to 4,096.
    pub batch_size: u32,
    /// Peak of the schedule; above 0, at most 10.
    pub learning_rate: f64,
    /// L2 penalty of the optimizer, in `[0, 1]`.
    pub weight_decay: f64,
    /// Of weights and data order.
    pub seed: u64,
}

impl TeacherRecipe {
    /// Every wrong field at once.
    pub fn validate(&self) -> Result<()> {
        let mut violations = Violations::default();
        violations.check((1..=1_000).contains(&self.epoch_count), "epoch_count", || {
            format!("{} is outside 1 to 1000", self.epoch_count)
        });
        violations.check((1..=4_096).contains(&self.batch_size), "batch_size", || {
            format!("{} is outside 1 to 4096", self.batch_size)
        });
        violations.check(self.learning_rate > 0.0 && self.learning_rate <= 10.0, "learning_rate", || {
            format!("{} is not above 0 and at most 10", self.learning_rate)
        });
        violations.check((0.0..=1.0).contains(&self.weight_decay), "weight_decay", || {
            format!("{} is outside 0 to 1", self.weight_decay)
        });
        violations.finish()
    }
}

/// A classifier under study.
#[derive(Debug, Clone, PartialEq)]
pub struct Teacher {
    /// `teachers/{t}`.
    pub name: ResourceName,
    /// For people.
    pub display_name: String,
    /// How it came about.
    pub recipe: TeacherRecipe,
    /// Whether it can answer.
    pub state: ModelState,
    /// Its network; known from the start, for a fine-tuned one it is its base's.
    pub architecture: Architecture,
    /// blake3 of its weights in hex; empty until trained.
    pub digest: String,
    /// How it answers, for people and cache keys: `libtorch bf16 oneDNN, batch 125`; empty until trained.
    pub engine: String,
    /// Share of right answers on the evaluation split; `None` until evaluated.
    pub accuracy: Option<f64>,
    /// Images evaluated.
    pub evaluated_example_count: u64,
    /// The operation that made it, `operations/{o}`.
    pub operation: String,
    /// Who asked for it; `anonymous` for those who have not said.
    pub creator: String,
    /// Seconds since the Unix epoch.
    pub create_time: i64,
}

/// All that determines an autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoencoderRecipe {
    /// `datasets/{d}`.
    pub dataset: ResourceName,
    /// Split it learns from.
    pub training_split: String,
    /// 2 to 64.
    pub latent_dimension_count: u32,
    /// Units of each hidden layer, 8 to 4,096.
    pub hidden_size: u32,
    /// 1 to 1,000.
    pub epoch_count: u32,
    /// 1 to 4,096.
    pub batch_size: u32,
    /// Of Adam; above 0, at most 1.
    pub learning_rate: f64,
    /// Weight of the KL term (β-VAE), above 0, at most 100.
    pub beta: f64,
    /// Of weights, data order and noise.
    pub seed: u64,
}

impl AutoencoderRecipe {
    /// The defaults for a data set: 10 dimensions, 512 units, 10 epochs of 256, rate 1e-3, β 1, seed 1.
    pub fn defaults(dataset: ResourceName, training_split: String) -> Self {
        Self {
            dataset,
            training_split,
            latent_dimension_count: 10,
            hidden_size: 512,
            epoch_count: 10,
            batch_size: 256,
            learning_rate: 1e-3,
            beta: 1.0,
            seed: 1,
        }
    }

    /// Every wrong field at once.
    pub fn validate(&self) -> Result<()> {
        let mut violations = Violations::default();
        violations.check((2..=64).contains(&self.latent_dimension_count), "latent_dimension_count", || {
            format!("{} is outside 2 to 64", self.latent_dimension_count)
        });
        violations.check((8..=4_096).contains(&self.hidden_size), "hidden_size", || {
            format!("{} is outside 8 to 4096", self.hidden_size)
        });
        violations.check((1..=1_000).contains(&self.epoch_count), "epoch_count", || {
            format!("{} is outside 1 to 1000", self.epoch_count)
        });
        violations.check((1..=4_096).contains(&self.batch_size), "batch_size", || {
            format!("{} is outside 1 to 4096", self.batch_size)
        });
        violations.check(self.learning_rate > 0.0 && self.learning_rate <= 1.0, "learning_rate", || {
            format!("{} is not above 0 and at most 1", self.learning_rate)
        });
        violations.check(self.beta > 0.0 && self.beta <= 100.0, "beta", || {
            format!("{} is not above 0 and at most 100", self.beta)
        });
        violations.finish()
    }
}

/// A trained VAE.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoencoder {
    /// `autoencoders/{a}`.
    pub name: ResourceName,
    /// For people.
    pub display_name: String,
    /// How it came about.
    pub recipe: AutoencoderRecipe,
    /// Whether it can answer.
    pub state: ModelState,
    /// blake3 of its weights in hex; empty until trained.
    pub digest: String,
    /// Mean negative ELBO of the last epoch in nats an image; `None` until trained.
    pub loss: Option<f64>,
    /// The operation that made it.
    pub operation: String,
    /// Who asked for it; `anonymous` for those who have not said.
    pub creator: String,
    /// Seconds since the Unix epoch.
    pub create_time: i64,
}
