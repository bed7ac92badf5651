//! The workshop in libtorch: reads data sets from the artifact store, trains networks, stores their
//! weights, and opens what was stored.

use std::{sync::Arc, time::Duration};

use artifacts::{Artifacts, LabeledImages, Slot};
use domain::{Architecture, Error, ImageShape, Label, Progress, ResourceName, Result, TeacherRecipe, TeacherSource};
use runtime::long::LongContext;
use tch::Device;
use tokio::runtime::Handle;
use torch::{Checkpoint, device};

use crate::{
    networks::Network,
    served::{Precision, ServedTeacher, engine},
    stored::Stored,
    teacher::Classifier,
    training::{
        self,
        session::{Examples, Session},
    },
    workshop::{TrainedTeacher, Workshop},
};

/// How the adapters compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TorchOptions {
    /// Where tensors live.
    pub device: Device,
    /// Threads of one computation, at least 1.
    pub thread_count: usize,
    /// Images of every batch that is answered.
    pub batch_size: usize,
    /// Numbers of training and answers.
    pub precision: Precision,
    /// Longest time between two checkpoints.
    pub checkpoint_interval: Duration,
}

/// Trains and opens teachers with libtorch.
pub struct TorchWorkshop {
    artifacts: Artifacts,
    options: TorchOptions,
    /// Runs the store's futures for threads that may block.
    runtime: Handle,
}

impl TorchWorkshop {
    /// Must be called on a tokio runtime of several threads.
    pub fn new(artifacts: Artifacts, options: TorchOptions) -> Self {
        Self { artifacts, options, runtime: Handle::current() }
    }

    fn stored(&self, teacher: &ResourceName) -> Result<Option<(Stored, artifacts::Checkpoint)>> {
        let checkpoint = self.runtime.block_on(self.artifacts.checkpoint(teacher, Slot::Final))?;
        checkpoint.map(|checkpoint| Ok((Stored::parse(&checkpoint.config)?, checkpoint))).transpose()
    }

    fn network(&self, stored: &Stored, bytes: &[u8]) -> Result<Network> {
        let checkpoint = Checkpoint::from_bytes(bytes)?;
        let Stored { architecture, shape, label_count, .. } = *stored;
        Network::stored(architecture, shape, label_count, &checkpoint, self.options.device)
    }

    /// Where the weights start, for images of `shape` with `label_count` labels.
    fn start(
        &self,
        recipe: &TeacherRecipe,
        examples: &Examples,
        label_count: usize,
    ) -> Result<(Architecture, Network)> {
        match &recipe.source {
            TeacherSource::Train(architecture) => {
                let (seed, device) = (recipe.seed, self.options.device);
                let network = Network::random(*architecture, label_count, seed, &examples.images, device)?;
                Ok((*architecture, network))
            }
            TeacherSource::FineTune(base) => {
                let Some((stored, checkpoint)) = self.stored(base)? else {
                    return Err(Error::NotFound { kind: "TEACHER", resource: base.to_string() });
                };
                expect_fit(base, &stored, examples.images.shape(), label_count)?;
                Ok((stored.architecture, self.network(&stored, &checkpoint.bytes)?))
            }
        }
    }

    fn trained(&self, stored: &Stored, digest: String) -> TrainedTeacher {
        let engine = engine(self.options.precision, self.options.batch_size, self.options.device);
        TrainedTeacher { digest, engine, architecture: stored.architecture }
    }
}

impl Workshop for TorchWorkshop {
    fn batch_size(&self) -> usize {
        self.options.batch_size
    }

    fn open(&self, teacher: &ResourceName) -> Result<Box<dyn Classifier>> {
        device::set_thread_count(self.options.thread_count);
        let Some((stored, checkpoint)) = self.stored(teacher)? else {
            let begun = self.runtime.block_on(self.artifacts.checkpoint_info(teacher, Slot::Latest))?;
            return Err(match begun {
                Some(_) => Error::model_not_ready(teacher, "its training has not ended", None),
                None => Error::NotFound { kind: "TEACHER", resource: teacher.to_string() },
            });
        };
        let network = self.network(&stored, &checkpoint.bytes)?;
        let TorchOptions { precision, batch_size, .. } = self.options;
        Ok(Box::new(ServedTeacher::new(network, checkpoint.digest, precision, batch_size)?))
    }

    fn train(
        &self,
        teacher: &ResourceName,
        recipe: &TeacherRecipe,
        context: &LongContext<Progress>,
    ) -> Result<TrainedTeacher> {
        recipe.validate()?;
        device::set_thread_count(self.options.thread_count);
        if let Some(info) = self.runtime.block_on(self.artifacts.checkpoint_info(teacher, Slot::Final))? {
            let stored = Stored::parse(&info.config)?;
            if stored.recipe == format!("{recipe:?}") {
                return Ok(self.trained(&stored, info.digest));
            }
        }
        let dataset = self.runtime.block_on(self.artifacts.dataset(&recipe.dataset))?;
        let split = self.runtime.block_on(self.artifacts.split(&recipe.dataset, &recipe.training_split))?;
        let (examples, label_count) = (examples(split), dataset.label_names.len());
        let shape = examples.images.shape();
        let (architecture, network) = self.start(recipe, &examples, label_count)?;
        let stored = Stored { architecture, shape, label_count, recipe: format!("{recipe:?}") };
        let mut session = Session::new(network, examples, recipe, self.options.precision)?;
        if let Some(latest) = self.runtime.block_on(self.artifacts.checkpoint(teacher, Slot::Latest))? {
            let resumed = session.resume(&Checkpoint::from_bytes(&latest.bytes)?)?;
            tracing::info!(teacher.name = %teacher, resumed, "found the checkpoint of a training");
        }
        let put = |slot, checkpoint: &Checkpoint| {
            let bytes = checkpoint.to_bytes()?;
            self.runtime.block_on(self.artifacts.put_checkpoint(teacher, slot, bytes, &stored.to_text()))
        };
        training::run(&mut session, self.options.checkpoint_interval, context, |checkpoint| {
            put(Slot::Latest, &checkpoint).map(drop)
        })?;
        let digest = put(Slot::Final, &Checkpoint::of(&session.network.parameters)?)?;
        self.runtime.block_on(self.artifacts.delete_checkpoint(teacher, Slot::Latest))?;
        Ok(self.trained(&stored, digest))
    }
}

fn examples(split: Arc<LabeledImages>) -> Examples {
    let labels = split.labels.iter().map(|&label| Label(u32::from(label))).collect();
    Examples { images: split.images.clone(), labels }
}

fn expect_fit(base: &ResourceName, stored: &Stored, shape: ImageShape, label_count: usize) -> Result<()> {
    if stored.shape != shape {
        return Err(Error::image_shape(shape, stored.shape));
    }
    if stored.label_count != label_count {
        let known = stored.label_count;
        return Err(Error::invalid(
            "fine_tune",
            format!("{base} knows {known} labels, the data set has {label_count}"),
        ));
    }
    Ok(())
}
