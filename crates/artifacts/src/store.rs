//! A few lines over `object_store`: its errors become the workspace's, an object that is not there
//! becomes `None`, and sizes are bounded.

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{Error, Result};
use futures::{StreamExt, TryStreamExt};
use object_store::{
    Error as StoreError, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion,
    path::Path,
};

/// Largest object that is read: a checkpoint of ResNet-50 with its momentum is 190 MB.
const MAX_OBJECT_BYTES: u64 = 4 << 30;
/// An upload older than this belongs to a process that is gone.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);

/// The object store and what it can do.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Whether it can replace an object only if nobody else has.
    updates_conditionally: bool,
}

/// An object's bytes and the store's own mark of this version of it.
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) mark: Mark,
}

/// Changes whenever the object does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    e_tag: Option<String>,
    version: Option<String>,
    size: u64,
}

/// The state of an object as a listing tells it: differs whenever the object was written anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stamp(String);

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What must hold for a put to happen.
pub(crate) enum Expect {
    Anything,
    Absent,
    Unchanged(Mark),
}

impl Store {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, updates_conditionally: bool) -> Self {
        Self { objects, updates_conditionally }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Option<Object>> {
        let Some(found) = present(self.objects.get(&Path::from(path)).await, path)? else { return Ok(None) };
        let mark = mark(&found.meta);
        if mark.size > MAX_OBJECT_BYTES {
            return Err(Error::unexpected(format!("{path} has {} bytes", mark.size)));
        }
        // The object may go between the two steps.
        let bytes = present(GetResult::bytes(found).await, path)?;
        Ok(bytes.map(|bytes| Object { bytes, mark }))
    }

    /// The version mark of an object, without reading it.
    pub(crate) async fn mark(&self, path: &str) -> Result<Option<Mark>> {
        Ok(present(self.objects.head(&Path::from(path)).await, path)?.map(|meta| mark(&meta)))
    }

    /// Replaces an object whole. `Ok(false)` when `expect` does not hold.
    pub(crate) async fn put(&self, path: &str, bytes: Bytes, expect: Expect) -> Result<bool> {
        let mode = match expect {
            Expect::Absent => PutMode::Create,
            Expect::Unchanged(mark) if self.updates_conditionally => {
                PutMode::Update(UpdateVersion { e_tag: mark.e_tag, version: mark.version })
            }
            // The caller holds the document's lock and has compared.
            Expect::Unchanged(_) | Expect::Anything => PutMode::Overwrite,
        };
        match self.objects.put_opts(&Path::from(path), PutPayload::from_bytes(bytes), mode.into()).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(error) => Err(failed(&error, path)),
        }
    }

    /// Deletes an object; one that is not there is no error.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        present(self.objects.delete(&Path::from(path)).await, path).map(drop)
    }

    /// Paths of all objects below a folder, sorted.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<String>> {
        Ok(self.stamps(folder).await?.into_iter().map(|(path, _)| path).collect())
    }

    /// Paths and stamps of all objects below a folder, by path.
    pub(crate) async fn stamps(&self, folder: &str) -> Result<Vec<(String, Stamp)>> {
        let prefix = Path::from(folder);
        let listed = self.objects.list(Some(&prefix));
        // A file that goes while its folder is walked is no failure of the walk.
        let present = listed.filter(|object| {
            let is_gone = matches!(object, Err(StoreError::NotFound { .. }));
            std::future::ready(!is_gone)
        });
        let objects: Vec<ObjectMeta> = present.try_collect().await.map_err(|error| failed(&error, folder))?;
        let mut stamps: Vec<(String, Stamp)> =
            objects.into_iter().map(|object| (object.location.to_string(), stamp(&object))).collect();
        stamps.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(stamps)
    }

    /// Names of the folders directly below a folder, sorted.
    pub(crate) async fn folders(&self, folder: &str) -> Result<Vec<String>> {
        let prefix = Path::from(folder);
        let listing = self.objects.list_with_delimiter(Some(&prefix)).await.map_err(|error| failed(&error, folder))?;
        let mut names: Vec<String> =
            listing.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// Deletes all objects below a folder.
    pub(crate) async fn delete_folder(&self, folder: &str) -> Result<()> {
        let paths = futures::stream::iter(self.list(folder).await?.into_iter().map(|path| Ok(Path::from(path))));
        let mut deleted = self.objects.delete_stream(paths.boxed());
        while let Some(result) = deleted.next().await {
            present(result, folder)?;
        }
        Ok(())
    }
}

/// The store is there for everyone or for no one, so its callers learn only that.
pub(crate) fn unavailable() -> Error {
    Error::UpstreamUnavailable { service: "artifact store".to_owned() }
}

fn failed(error: &StoreError, path: &str) -> Error {
    tracing::error!(artifact.path = path, %error, "the artifact store failed");
    unavailable()
}

fn present<T>(result: Result<T, StoreError>, path: &str) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(&error, path)),
    }
}

fn stamp(meta: &ObjectMeta) -> Stamp {
    let e_tag = meta.e_tag.as_deref().unwrap_or_default();
    Stamp(format!("{e_tag} {} {}", meta.size, meta.last_modified.timestamp_micros()))
}

fn mark(meta: &ObjectMeta) -> Mark {
    Mark { e_tag: meta.e_tag.clone(), version: meta.version.clone(), size: meta.size }
}

/// A killed process leaves `name#1` behind, as large as a checkpoint. Young ones may be another process's.
pub(crate) fn remove_abandoned_uploads(folder: &FilePath) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
        if meta.is_dir() {
            remove_abandoned_uploads(&path);
            continue;
        }
        let name = entry.file_name();
        let is_upload = name.to_string_lossy().rsplit_once('#').is_some_and(|(_, n)| n.parse::<u32>().is_ok());
        let age = meta.modified().ok().and_then(|time| time.elapsed().ok());
        if is_upload && age.is_some_and(|age| age > ABANDONED_AFTER) && std::fs::remove_file(&path).is_ok() {
            tracing::info!(path = %path.display(), "removed what an interrupted write left behind");
        }
    }
}
