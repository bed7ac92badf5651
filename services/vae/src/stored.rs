//! The service's port from the artifact store: weights are loaded on first use and leave when others are
//! used more, trainings read data sets and leave checkpoints.

use std::sync::Arc;

use artifacts::{Artifacts, Slot};
use async_trait::async_trait;
use domain::{AutoencoderRecipe, Error, Progress, ResourceName, Result};
use moka::future::Cache;
use runtime::{
    engine::QueueConfig,
    gate::Gate,
    long::{LongContext, LongTask, TrainingQueue},
};
use tch::Device;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use torch::{Checkpoint, device::set_thread_count};

use crate::{
    model::Model,
    models::{Models, Trained},
    networks::Perceptrons,
    training::{self, Keeper, describe},
    vae::Autoencoder,
};

/// Models that stay loaded, some 6 MB and one thread each.
const MAX_LOADED_COUNT: u64 = 8;

/// Models and trainings over an artifact store.
#[derive(Clone)]
pub struct StoredModels {
    artifacts: Artifacts,
    gate: Gate,
    trainings: TrainingQueue,
    device: Device,
    thread_count: usize,
    queue: QueueConfig,
    /// By name and digest, so that a model that was deleted and trained anew is loaded anew.
    loaded: Cache<(ResourceName, String), Model>,
}

impl StoredModels {
    /// `gate` and `trainings` are the process's; `thread_count` is for one computation.
    pub fn new(
        artifacts: Artifacts,
        gate: Gate,
        trainings: TrainingQueue,
        device: Device,
        thread_count: usize,
    ) -> Self {
        let (queue, loaded) = (QueueConfig::default(), Cache::new(MAX_LOADED_COUNT));
        Self { artifacts, gate, trainings, device, thread_count, queue, loaded }
    }

    /// With this queue in front of each model.
    #[must_use]
    pub fn with_queue(self, queue: QueueConfig) -> Self {
        Self { queue, ..self }
    }

    async fn load(&self, name: &ResourceName) -> Result<Model> {
        let Some(stored) = self.artifacts.checkpoint(name, Slot::Final).await? else {
            return Err(self.absent(name).await?);
        };
        let (device, thread_count) = (self.device, self.thread_count);
        Model::start(&format!("vae {}", name.id()), self.queue, self.gate.clone(), move || {
            set_thread_count(thread_count);
            let checkpoint = Checkpoint::from_bytes(&stored.bytes)?;
            let network = Perceptrons::load(&checkpoint, device)?;
            // libtorch prepares its kernels on their first use; the first caller should not wait for it.
            network.decode(&[vec![0.0; network.dimension_count()]])?;
            Ok(Box::new(network) as Box<dyn Autoencoder>)
        })
        .await
        .map_err(|error| match error {
            // The bytes are what we once wrote, so this is no caller's mistake.
            Error::InvalidFields(violations) => Error::unexpected(format!("weights of {name}: {violations}")),
            other => other,
        })
    }

    /// Why there are no weights.
    async fn absent(&self, name: &ResourceName) -> Result<Error> {
        if self.artifacts.checkpoint_info(name, Slot::Latest).await?.is_some() {
            return Ok(Error::model_not_ready(name, "it is being trained, or its training was stopped", None));
        }
        Ok(Error::NotFound { kind: "AUTOENCODER", resource: name.to_string() })
    }
}

#[async_trait]
impl Models for StoredModels {
    fn queue(&self) -> QueueConfig {
        self.queue
    }

    async fn model(&self, name: &ResourceName) -> Result<Model> {
        let Some(digest) = self.artifacts.recent_digest(name).await? else {
            return Err(self.absent(name).await?);
        };
        let key = (name.clone(), digest);
        self.loaded.try_get_with(key, self.load(name)).await.map_err(Arc::unwrap_or_clone)
    }

    fn train(
        &self,
        name: ResourceName,
        recipe: AutoencoderRecipe,
        cancellation: CancellationToken,
    ) -> Result<LongTask<Progress, Trained>> {
        let (stored, runtime) = (self.clone(), Handle::current());
        let label = format!("train {}", name.id());
        self.trainings.start(&label, cancellation, Progress::queued(recipe.epoch_count), move |context| {
            set_thread_count(stored.thread_count);
            StoredTraining { stored, runtime, name, recipe }.run(context)
        })
    }
}

/// One training on its own thread, where waiting for the store may block.
struct StoredTraining {
    stored: StoredModels,
    runtime: Handle,
    name: ResourceName,
    recipe: AutoencoderRecipe,
}

impl StoredTraining {
    fn run(&self, context: &LongContext<Progress>) -> Result<Trained> {
        if let Some(trained) = self.already_trained()? {
            return Ok(trained);
        }
        let artifacts = &self.stored.artifacts;
        let split = self.runtime.block_on(artifacts.split(&self.recipe.dataset, &self.recipe.training_split))?;
        tracing::info!(autoencoder.name = %self.name, image_count = split.images.len(), "training starts");
        let trained = training::train(&self.recipe, &split.images, self.stored.device, self, context)?;
        tracing::info!(autoencoder.name = %self.name, loss = trained.loss, "training ended");
        Ok(trained)
    }

    /// A call that is repeated after its training has ended gets the same answer at once.
    fn already_trained(&self) -> Result<Option<Trained>> {
        let artifacts = &self.stored.artifacts;
        let info = self.runtime.block_on(artifacts.checkpoint_info(&self.name, Slot::Final))?;
        if info.is_none_or(|info| info.config != describe(&self.recipe)) {
            return Ok(None);
        }
        let Some(stored) = self.runtime.block_on(artifacts.checkpoint(&self.name, Slot::Final))? else {
            return Ok(None);
        };
        let checkpoint = Checkpoint::from_bytes(&stored.bytes).map_err(Error::unexpected)?;
        let network = Perceptrons::load(&checkpoint, self.stored.device).map_err(Error::unexpected)?;
        let loss = checkpoint.number("loss").map_err(Error::unexpected)?;
        Ok(Some(Trained { digest: network.parameters().digest()?, loss }))
    }
}

impl Keeper for StoredTraining {
    fn latest(&self) -> Result<Option<Vec<u8>>> {
        let stored = self.runtime.block_on(self.stored.artifacts.checkpoint(&self.name, Slot::Latest))?;
        Ok(stored.map(|stored| stored.bytes.to_vec()))
    }

    fn keep(&self, bytes: Vec<u8>) -> Result<()> {
        let config = describe(&self.recipe);
        self.runtime.block_on(self.stored.artifacts.put_checkpoint(&self.name, Slot::Latest, bytes, &config))?;
        Ok(())
    }

    fn finish(&self, bytes: Vec<u8>) -> Result<()> {
        let config = describe(&self.recipe);
        let artifacts = &self.stored.artifacts;
        self.runtime.block_on(artifacts.put_checkpoint(&self.name, Slot::Final, bytes, &config))?;
        self.runtime.block_on(artifacts.delete_checkpoint(&self.name, Slot::Latest))
    }
}
