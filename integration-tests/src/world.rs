//! What outlives a process: the artifact store with a tiny data set, and what its models have become. Two
//! sandboxes of one world are a system before and after a restart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use artifacts::Artifacts;
use domain::{ResourceName, Result};

use crate::{
    brake::Brake,
    known::{KnownAutoencoder, KnownTeacher, KnownWorkshop, dataset_splits, label_names},
};

/// `datasets/tiny`.
pub const DATASET: &str = "datasets/tiny";
/// The teacher that every sandbox has.
pub const TEACHER: &str = "teachers/known";
/// An autoencoder with one dimension a pixel.
pub const IDENTITY: &str = "autoencoders/identity";
/// An autoencoder with four dimensions.
pub const QUARTERS: &str = "autoencoders/quarters";

/// A store and the models that were trained into it.
#[derive(Clone)]
pub struct World {
    /// In memory.
    pub artifacts: Artifacts,
    /// On the teacher.
    pub brake: Arc<Brake>,
    /// Makes the teacher.
    pub workshop: Arc<KnownWorkshop>,
    /// The autoencoders that were trained.
    pub autoencoders: Arc<Mutex<HashMap<ResourceName, KnownAutoencoder>>>,
}

impl World {
    /// With a linear teacher.
    pub async fn linear() -> Self {
        Self::with(KnownTeacher::linear()).await.expect("a tiny data set is imported")
    }

    /// With a teacher that looks at one patch.
    pub async fn planted() -> Self {
        Self::with(KnownTeacher::planted()).await.expect("a tiny data set is imported")
    }

    async fn with(teacher: KnownTeacher) -> Result<Self> {
        let artifacts = Artifacts::in_memory();
        let dataset = ResourceName::parse(DATASET, ResourceName::DATASET)?;
        artifacts.import_idx(&dataset, "Tiny", label_names(), dataset_splits()).await?;
        let brake = Arc::new(Brake::default());
        let workshop = Arc::new(KnownWorkshop::new(teacher, Arc::clone(&brake)));
        Ok(Self { artifacts, brake, workshop, autoencoders: Arc::default() })
    }
}
