//! The layout of the artifact store: what cannot be recomputed, or only at great cost. Data sets,
//! checkpoints, evaluations and small documents, each behind typed calls; nothing else knows a path.
//!
//! ```text
//! datasets/{d}/dataset                    name, shape, labels, splits, digests; written last
//! datasets/{d}/{split}.images|.labels     packed u8, as the IDX files had them, without their headers
//! models/{collection}/{id}/{slot}         digest, size and config of a checkpoint; written last
//! models/{collection}/{id}/{slot}-{digest}.safetensors
//! evaluations/{t}/{d}/{split}             f32 logits with a header and a checksum
//! documents/{path}                        specs, notes, marks, operations, the catalog
//! ```
//!
//! Every object is written under a temporary name, flushed and renamed, so that a reader sees the old
//! one or the new one, also after a kill. Objects that belong together are tied by a small one that is
//! written last and holds the digests of the others.

mod checkpoints;
mod datasets;
mod documents;
mod evaluations;
pub mod idx;
mod store;

use std::{path::Path, sync::Arc};

use domain::Result;
use object_store::{local::LocalFileSystem, memory::InMemory};

pub use crate::{
    checkpoints::{Checkpoint, CheckpointInfo, Slot},
    datasets::{IdxSplit, LabeledImages},
    documents::{Condition, Document, MAX_DOCUMENT_BYTES, Version},
    evaluations::Evaluation,
};
use crate::{datasets::DatasetCache, evaluations::EvaluationCache, store::Store};

/// The artifact store. Cheap to clone; clones share caches.
#[derive(Clone, Debug)]
pub struct Artifacts {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    datasets: DatasetCache,
    evaluations: EvaluationCache,
    /// Held over the read-compare-write of a conditional put where the store has none of its own.
    conditional_put: tokio::sync::Mutex<()>,
}

impl Artifacts {
    /// A store in a local folder, which is made if it is missing. One orchestrator at a time may write
    /// documents there: a local folder has no conditional update between processes.
    pub fn open_folder(folder: &Path) -> Result<Self> {
        let unavailable = |error: &dyn std::fmt::Display| {
            tracing::error!(folder = %folder.display(), %error, "the artifact folder cannot be opened");
            store::unavailable()
        };
        std::fs::create_dir_all(folder).map_err(|error| unavailable(&error))?;
        store::remove_abandoned_uploads(folder);
        let files = LocalFileSystem::new_with_prefix(folder).map_err(|error| unavailable(&error))?;
        Ok(Self::new(Store::new(Arc::new(files.with_fsync(true)), false)))
    }

    /// A store that lives as long as its clones, for tests.
    pub fn in_memory() -> Self {
        Self::new(Store::new(Arc::new(InMemory::new()), true))
    }

    fn new(store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                datasets: DatasetCache::default(),
                evaluations: EvaluationCache::default(),
                conditional_put: tokio::sync::Mutex::default(),
            }),
        }
    }
}
