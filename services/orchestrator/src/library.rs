//! `Library` and `Documents` over the artifact store.

use artifacts::{Artifacts, Condition};
use async_trait::async_trait;
use domain::{Dataset, Error, Image, Label, ResourceName, Result};

use crate::ports::{Documents, Library, StoredAnswers};

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

/// The documents of explanations.
pub struct StoredDocuments(Artifacts);

impl StoredDocuments {
    /// Uses this store.
    pub fn new(artifacts: Artifacts) -> Self {
        Self(artifacts)
    }
}

#[async_trait]
impl Documents for StoredDocuments {
    async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        match self.0.put_document(path, bytes, Condition::Absent).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.document(path).await?.map(|document| document.bytes.into()))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.0.document_paths(prefix.trim_end_matches('/')).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.0.delete_document(path).await
    }
}
