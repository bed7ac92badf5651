//! What the names in a request tell before the rest of it is read, so that a value that only a model or a
//! data set can judge is refused together with all others. A name that leads nowhere tells nothing here: it
//! gets its own answer once every field could be read.

use domain::{Dataset, ResourceName, Result};

use super::{Explanations, read_document};

impl Explanations {
    /// Latent dimensions of an autoencoder that is ready.
    pub async fn dimensions_of(&self, autoencoder: &str) -> Result<Option<usize>> {
        let Ok(name) = ResourceName::parse(autoencoder, ResourceName::AUTOENCODER) else { return Ok(None) };
        let autoencoder = self.catalog.ready_autoencoder(&name).await.ok();
        Ok(autoencoder.map(|autoencoder| autoencoder.recipe.latent_dimension_count as usize))
    }

    /// Latent dimensions of the space that an explanation's neighbors lie in. Computes nothing.
    pub async fn dimensions_in(&self, explanation: &str) -> Result<Option<usize>> {
        let Ok(name) = ResourceName::parse(explanation, ResourceName::EXPLANATION) else { return Ok(None) };
        let autoencoder = match self.find_live(&name) {
            Some(live) => Some(live.current().autoencoder.clone()),
            None => match self.documents.get(name.as_str()).await? {
                Some(document) => Some(read_document(&document)?.autoencoder),
                None => None,
            },
        };
        match autoencoder {
            Some(autoencoder) => self.dimensions_of(autoencoder.as_str()).await,
            None => Ok(None),
        }
    }

    /// The data set that a teacher learned from, if the teacher is ready.
    pub async fn dataset_of(&self, teacher: &str) -> Result<Option<Dataset>> {
        let Ok(name) = ResourceName::parse(teacher, ResourceName::TEACHER) else { return Ok(None) };
        let Ok(teacher) = self.catalog.ready_teacher(&name).await else { return Ok(None) };
        Ok(self.catalog.dataset(&teacher.recipe.dataset).await.ok())
    }
}
