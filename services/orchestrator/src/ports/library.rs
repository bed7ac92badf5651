//! The data sets and the teachers' stored answers to them, as the catalog reads them.

use async_trait::async_trait;
use domain::{Dataset, Image, Label, ResourceName, Result};

/// A teacher's answers to every image of a split, as its evaluation stored them.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAnswers {
    /// Image by image, label by label; finite.
    pub logits: Vec<f32>,
    /// Labels an image, at least 1.
    pub label_count: usize,
    /// blake3 of the weights that answered, in hex.
    pub teacher_digest: String,
}

/// Reads of the artifact store. Data sets never change once they are there.
#[async_trait]
pub trait Library: Send + Sync {
    /// All data sets, by name.
    async fn datasets(&self) -> Result<Vec<Dataset>>;

    /// One data set; `NotFound` without it.
    async fn dataset(&self, name: &ResourceName) -> Result<Dataset>;

    /// The gold label of every image of a split, in order.
    async fn gold_labels(&self, dataset: &ResourceName, split: &str) -> Result<Vec<Label>>;

    /// Images of a split by position. A position that is not there is an error.
    async fn images(&self, dataset: &ResourceName, split: &str, positions: &[u64]) -> Result<Vec<Image>>;

    /// A teacher's answers to a split, if they are stored.
    async fn answers(
        &self,
        teacher: &ResourceName,
        dataset: &ResourceName,
        split: &str,
    ) -> Result<Option<StoredAnswers>>;

    /// Deletes a model's weights and answers.
    async fn delete_model(&self, model: &ResourceName) -> Result<()>;
}
