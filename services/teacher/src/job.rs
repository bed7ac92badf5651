//! One training of a teacher as a process of its own: trained, evaluated, and put into the catalog, where
//! every orchestrator finds it. Free of libtorch: it speaks to [`Models`].

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use artifacts::{Artifacts, CATALOG, Condition};
use domain::{Error, ModelState, ResourceName, Result, Teacher, TeacherRecipe, Violations};
use futures::StreamExt;
use prost::Message;
use proto::{
    catalog::creator,
    raw::deeper::{catalog::v1 as catalog, types::v1 as raw},
};
use runtime::job::{self, End};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::Models;

/// A teacher that is asked for by a file.
#[derive(Debug, Clone, PartialEq)]
pub struct TeacherJob {
    /// `teachers/{t}`.
    pub name: ResourceName,
    /// For people.
    pub display_name: String,
    /// Whose it is.
    pub creator: String,
    /// All that determines it.
    pub recipe: TeacherRecipe,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    teacher_id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    creator: String,
    recipe: Recipe,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    train: Option<Network>,
    fine_tune: Option<String>,
    dataset: String,
    training_split: String,
    evaluation_split: String,
    epoch_count: Option<u32>,
    batch_size: Option<u32>,
    learning_rate: Option<f64>,
    weight_decay: Option<f64>,
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Network {
    Resnet50,
    SmallCnn,
}

impl TeacherJob {
    /// Reads a file. Every mistake in its values is told at once.
    pub fn read(file: &Path) -> Result<Self> {
        let File { teacher_id, display_name, creator: maker, recipe } = job::read_spec(file)?;
        let mut violations = Violations::default();
        let name = violations.take("teacher_id", ResourceName::new(ResourceName::TEACHER, &[&teacher_id]));
        let recipe = violations.take("recipe", recipe.read());
        if let Some(recipe) = &recipe {
            violations.take("recipe", recipe.validate());
        }
        violations.finish()?;
        let (Some(name), Some(recipe)) = (name, recipe) else {
            return Err(Error::unexpected("a missing value was not noted"));
        };
        let display_name = if display_name.is_empty() { teacher_id } else { display_name };
        Ok(Self { name, display_name, creator: creator(maker), recipe })
    }

    /// Trains, evaluates and records the teacher, or what of it is still to be done. A name that is another
    /// teacher's is an error.
    pub async fn run(
        self,
        models: Arc<Models>,
        artifacts: &Artifacts,
        shutdown: &CancellationToken,
    ) -> Result<End<()>> {
        if self.is_recorded(artifacts).await? {
            tracing::info!(teacher.name = %self.name, "it is in the catalog already");
            return Ok(End::Done(()));
        }
        let task = models.train(self.name.clone(), self.recipe.clone(), CancellationToken::new())?;
        let End::Done(trained) = job::follow(task, shutdown).await? else { return Ok(End::Stopped) };

        let (dataset, split) = (self.recipe.dataset.clone(), self.recipe.evaluation_split.clone());
        let mut snapshots = Box::pin(models.evaluate(self.name.clone(), dataset, split).await?);
        let mut judged = None;
        loop {
            tokio::select! {
                biased;
                // Begun anew when it is started again: that takes less than a training.
                () = shutdown.cancelled() => return Ok(End::Stopped),
                snapshot = snapshots.next() => match snapshot {
                    Some(snapshot) => judged = Some(snapshot?),
                    None => break,
                },
            }
        }
        let judged = judged.ok_or_else(|| Error::unexpected("an evaluation without an end"))?;
        job::report(&judged);
        let teacher = Teacher {
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            recipe: self.recipe.clone(),
            state: ModelState::Ready,
            architecture: trained.architecture,
            digest: trained.digest,
            engine: trained.engine,
            accuracy: Some(judged.accuracy),
            evaluated_example_count: judged.step_count,
            operation: String::new(),
            creator: self.creator.clone(),
            create_time: now(),
        };
        let record = catalog::Teacher::from(&teacher).encode_to_vec();
        match artifacts.put_document(&self.record(), record, Condition::Absent).await {
            // Another process did the same at this moment, or took the name.
            Err(Error::AlreadyExists { .. }) => self.is_recorded(artifacts).await.map(|_| End::Done(())),
            outcome => outcome.map(|_| End::Done(())),
        }
    }

    /// Whether the catalog has this very teacher.
    async fn is_recorded(&self, artifacts: &Artifacts) -> Result<bool> {
        let Some(document) = artifacts.document(&self.record()).await? else { return Ok(false) };
        let known = catalog::Teacher::decode(document.bytes).map_err(Error::unexpected).and_then(Teacher::try_from)?;
        if known.state == ModelState::Ready && known.recipe == self.recipe {
            return Ok(true);
        }
        Err(Error::AlreadyExists { kind: "TEACHER", resource: self.name.to_string() })
    }

    fn record(&self) -> String {
        format!("{CATALOG}/{}", self.name)
    }
}

impl Recipe {
    /// With defaults filled in, as the API does it.
    fn read(self) -> Result<TeacherRecipe> {
        let source = match (self.train, self.fine_tune) {
            (Some(network), None) => raw::teacher_recipe::Source::Train(match network {
                Network::Resnet50 => raw::Architecture::Resnet50.into(),
                Network::SmallCnn => raw::Architecture::SmallCnn.into(),
            }),
            (None, Some(base)) => raw::teacher_recipe::Source::FineTune(base),
            _ => return Err(Error::invalid("train", "give either a network to train or a teacher to fine_tune")),
        };
        TeacherRecipe::try_from(raw::TeacherRecipe {
            source: Some(source),
            dataset: self.dataset,
            training_split: self.training_split,
            evaluation_split: self.evaluation_split,
            epoch_count: self.epoch_count,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            seed: self.seed,
        })
    }
}

/// Seconds since the Unix epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() as i64
}
