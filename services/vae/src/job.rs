//! One training of an autoencoder as a process of its own: trained, and put into the catalog, where every
//! orchestrator finds it. Free of libtorch: it speaks to [`Models`].

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use artifacts::{Artifacts, CATALOG, Condition};
use domain::{Autoencoder, AutoencoderRecipe, Error, ModelState, ResourceName, Result, Violations};
use prost::Message;
use proto::{
    catalog::creator,
    raw::deeper::{catalog::v1 as catalog, types::v1 as raw},
};
use runtime::job::{self, End};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::Models;

/// An autoencoder that is asked for by a file.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoencoderJob {
    /// `autoencoders/{a}`.
    pub name: ResourceName,
    /// For people.
    pub display_name: String,
    /// Whose it is.
    pub creator: String,
    /// All that determines it.
    pub recipe: AutoencoderRecipe,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    autoencoder_id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    creator: String,
    recipe: Recipe,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    dataset: String,
    training_split: String,
    latent_dimension_count: Option<u32>,
    hidden_size: Option<u32>,
    epoch_count: Option<u32>,
    batch_size: Option<u32>,
    learning_rate: Option<f64>,
    beta: Option<f64>,
    seed: Option<u64>,
}

impl AutoencoderJob {
    /// Reads a file. Every mistake in its values is told at once.
    pub fn read(file: &Path) -> Result<Self> {
        let File { autoencoder_id, display_name, creator: maker, recipe } = job::read_spec(file)?;
        let mut violations = Violations::default();
        let name = ResourceName::new(ResourceName::AUTOENCODER, &[&autoencoder_id]);
        let name = violations.take("autoencoder_id", name);
        let recipe = violations.take("recipe", recipe.read());
        if let Some(recipe) = &recipe {
            violations.take("recipe", recipe.validate());
        }
        violations.finish()?;
        let (Some(name), Some(recipe)) = (name, recipe) else {
            return Err(Error::unexpected("a missing value was not noted"));
        };
        let display_name = if display_name.is_empty() { autoencoder_id } else { display_name };
        Ok(Self { name, display_name, creator: creator(maker), recipe })
    }

    /// Trains and records the autoencoder, or what of it is still to be done. A name that is another one's is
    /// an error.
    pub async fn run(
        self,
        models: &impl Models,
        artifacts: &Artifacts,
        shutdown: &CancellationToken,
    ) -> Result<End<()>> {
        if self.is_recorded(artifacts).await? {
            tracing::info!(autoencoder.name = %self.name, "it is in the catalog already");
            return Ok(End::Done(()));
        }
        let task = models.train(self.name.clone(), self.recipe.clone(), CancellationToken::new())?;
        let End::Done(trained) = job::follow(task, shutdown).await? else { return Ok(End::Stopped) };
        let autoencoder = Autoencoder {
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            recipe: self.recipe.clone(),
            state: ModelState::Ready,
            digest: trained.digest,
            loss: Some(trained.loss),
            operation: String::new(),
            creator: self.creator.clone(),
            create_time: now(),
        };
        let record = catalog::Autoencoder::from(&autoencoder).encode_to_vec();
        match artifacts.put_document(&self.record(), record, Condition::Absent).await {
            // Another process did the same at this moment, or took the name.
            Err(Error::AlreadyExists { .. }) => self.is_recorded(artifacts).await.map(|_| End::Done(())),
            outcome => outcome.map(|_| End::Done(())),
        }
    }

    /// Whether the catalog has this very autoencoder.
    async fn is_recorded(&self, artifacts: &Artifacts) -> Result<bool> {
        let Some(document) = artifacts.document(&self.record()).await? else { return Ok(false) };
        let known = catalog::Autoencoder::decode(document.bytes).map_err(Error::unexpected);
        let known = known.and_then(Autoencoder::try_from)?;
        if known.state == ModelState::Ready && known.recipe == self.recipe {
            return Ok(true);
        }
        Err(Error::AlreadyExists { kind: "AUTOENCODER", resource: self.name.to_string() })
    }

    fn record(&self) -> String {
        format!("{CATALOG}/{}", self.name)
    }
}

impl Recipe {
    /// With defaults filled in, as the API does it.
    fn read(self) -> Result<AutoencoderRecipe> {
        AutoencoderRecipe::try_from(raw::AutoencoderRecipe {
            dataset: self.dataset,
            training_split: self.training_split,
            latent_dimension_count: self.latent_dimension_count,
            hidden_size: self.hidden_size,
            epoch_count: self.epoch_count,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            beta: self.beta,
            seed: self.seed,
        })
    }
}

/// Seconds since the Unix epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() as i64
}
