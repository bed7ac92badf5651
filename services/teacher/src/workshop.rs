//! The port to where teachers come from: opens trained ones and makes new ones. libtorch stands behind
//! it in the product, known-answer teachers in tests.

use domain::{Architecture, Progress, ResourceName, Result, TeacherRecipe};
use runtime::long::LongContext;

use crate::teacher::Classifier;

/// Opens and trains teachers. Both calls block: they run on threads of their own.
pub trait Workshop: Send + Sync + 'static {
    /// Images that an opened teacher answers at once, at least 1. A smaller batch costs as much.
    fn batch_size(&self) -> usize;

    /// Opens a trained teacher on the thread that will own it. `NotFound` if there is none,
    /// `ModelNotReady` if its training has not ended.
    fn open(&self, teacher: &ResourceName) -> Result<Box<dyn Classifier>>;

    /// Trains a teacher and stores it; goes on from its last checkpoint; answers at once if it is there
    /// already with this recipe. Every heavy step goes through `context`, which also ends it.
    fn train(
        &self,
        teacher: &ResourceName,
        recipe: &TeacherRecipe,
        context: &LongContext<Progress>,
    ) -> Result<TrainedTeacher>;
}

/// What a training leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedTeacher {
    /// blake3 of the weights in hex.
    pub digest: String,
    /// How it will answer.
    pub engine: String,
    /// Its network.
    pub architecture: Architecture,
}
