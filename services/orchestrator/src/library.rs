//! `Library` over the artifact store.

use artifacts::Artifacts;
use async_trait::async_trait;
use domain::{Dataset, Error, Image, Label, ResourceName, Result};

use crate::ports::{Library, StoredAnswers};

/// Data sets and stored answers as the artifact store has them.
pub struct StoredLibrary(Artifacts);

impl StoredLibrary {
    /// Uses this store.
    pub fn new(artifacts: Artifacts) -> Self {
        Self(artifacts)
    }
}

#[async_trait]
impl Library for StoredLibrary {
    async fn datasets(&self) -> Result<Vec<Dataset>> {
        self.0.datasets().await
    }

    async fn dataset(&self, name: &ResourceName) -> Result<Dataset> {
        self.0.dataset(name).await
    }

    async fn gold_labels(&self, dataset: &ResourceName, split: &str) -> Result<Vec<Label>> {
        let split = self.0.split(dataset, split).await?;
        Ok(split.labels.iter().map(|&label| Label(u32::from(label))).collect())
    }

    async fn images(&self, dataset: &ResourceName, split: &str, positions: &[u64]) -> Result<Vec<Image>> {
        let images = self.0.split(dataset, split).await?;
        let image = |&position: &u64| {
            let found = usize::try_from(position).ok().and_then(|position| images.images.image(position));
            found.ok_or_else(|| Error::NotFound {
                kind: "EXAMPLE",
                resource: format!("{dataset}/examples/{split}-{position}"),
            })
        };
        positions.iter().map(image).collect()
    }

    async fn answers(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: &str,
    ) -> Result<Option<StoredAnswers>> {
        let evaluation = self.0.evaluation(teacher, dataset, split).await?;
        Ok(evaluation.map(|evaluation| StoredAnswers {
            logits: evaluation.logits.clone(),
            label_count: evaluation.label_count,
            teacher_digest: evaluation.teacher_digest.clone(),
        }))
    }

    async fn delete_model(&self, model: &ResourceName) -> Result<()> {
        self.0.delete_model(model).await
    }
}
