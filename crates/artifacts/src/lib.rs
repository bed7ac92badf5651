//! The layout of the artifact store: what cannot be recomputed, or only at great cost. Data sets,
//! checkpoints, evaluations and small documents, each behind typed calls; nothing else knows a path.
//!
//! ```text
//! datasets/{d}/dataset                    name, shape, labels, splits, digests; written last
//! datasets/{d}/{split}.images|.labels     packed u8, as the IDX files had them, without their headers
//! models/{collection}/{id}/{slot}         digest, size and config of a checkpoint; written last
//! models/{collection}/{id}/{slot}-{digest}.safetensors
//! evaluations/{t}/{d}/{split}             f32 logits with a header and a checksum
//! documents/{path}                        specs, notes, marks, operations, the catalog; each with its digest
//! .locks/{n}                              in a folder: of those who write documents
//! .locks/present-{id}                     in a folder: held by a process that is there
//! ```
//!
//! Every object is written under a temporary name, flushed and renamed, so that a reader sees the old
//! one or the new one, also after a kill. Objects that belong together are tied by a small one that is
//! written last and holds the digests of the others.

#[cfg(feature = "cloud")]
mod buckets;
mod checkpoints;
mod datasets;
mod documents;
mod envelope;
mod evaluations;
pub mod idx;
mod location;
mod locks;
mod store;

use std::{path::Path, sync::Arc};

use domain::Result;
use object_store::{local::LocalFileSystem, memory::InMemory};

use crate::{
    checkpoints::CheckpointCache, datasets::DatasetCache, evaluations::EvaluationCache, locks::Locks, store::Store,
};
pub use crate::{
    checkpoints::{Checkpoint, CheckpointInfo, Slot},
    datasets::{IdxSplit, LabeledImages},
    documents::{CATALOG, Condition, Document, MAX_DOCUMENT_BYTES, Version},
    evaluations::Evaluation,
    location::{Bucket, Location},
    locks::Presence,
    store::Stamp,
};

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
    checkpoints: CheckpointCache,
    /// Of a folder, whose files cannot be replaced on condition.
    locks: Option<Locks>,
}

impl Artifacts {
    /// The store at a place. Buckets need the feature `cloud`; their credentials come from the environment of
    /// the process.
    pub fn open(location: &Location) -> Result<Self> {
        Self::open_with(
            location,
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// As [`Artifacts::open`], with these variables for the environment's.
    pub fn open_with(location: &Location, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        #[cfg(feature = "cloud")]
        let variables: buckets::Variables = variables.into_iter().collect();
        #[cfg(not(feature = "cloud"))]
        drop(variables);
        match location {
            Location::Folder(folder) => Self::open_folder(folder),
            #[cfg(feature = "cloud")]
            Location::Gcs(bucket) => Ok(Self::new(Store::new(buckets::gcs(bucket, &variables)?, true), None)),
            #[cfg(feature = "cloud")]
            Location::S3(bucket) => Ok(Self::new(Store::new(buckets::s3(bucket, &variables)?, true), None)),
            #[cfg(not(feature = "cloud"))]
            Location::Gcs(_) | Location::S3(_) => Err(domain::Error::FailedPrecondition {
                reason: "BUCKETS_NOT_BUILT",
                subject: location.to_string(),
                description: format!("{location} is a bucket, and this program was built without the feature cloud"),
            }),
        }
    }

    /// A store in a local folder, which is made if it is missing. Processes of one machine may share it;
    /// on a network file system only where it has working file locks.
    pub fn open_folder(folder: &Path) -> Result<Self> {
        let unavailable = |error: &dyn std::fmt::Display| {
            tracing::error!(folder = %folder.display(), %error, "the artifact folder cannot be opened");
            store::unavailable()
        };
        std::fs::create_dir_all(folder).map_err(|error| unavailable(&error))?;
        store::remove_abandoned_uploads(folder);
        let locks = Locks::new(folder).map_err(|error| unavailable(&error))?;
        let files = LocalFileSystem::new_with_prefix(folder).map_err(|error| unavailable(&error))?;
        Ok(Self::new(Store::new(Arc::new(files.with_fsync(true)), false), Some(locks)))
    }

    /// A store that lives as long as its clones, for tests.
    pub fn in_memory() -> Self {
        Self::new(Store::new(Arc::new(InMemory::new()), true), None)
    }

    fn new(store: Store, locks: Option<Locks>) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                datasets: DatasetCache::default(),
                evaluations: EvaluationCache::default(),
                checkpoints: CheckpointCache::default(),
                locks,
            }),
        }
    }
}
