//! Documents: a few kilobytes under a path, put on condition. What is in them is their writer's affair.

use bytes::Bytes;
use domain::{Error, Result};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    Artifacts, envelope,
    store::{Expect, Stamp},
};

/// The folder of documents in which every replica looks for models: the record of `teachers/t` is
/// `catalog/teachers/t`, in the wire's own encoding.
pub const CATALOG: &str = "catalog";
/// Largest document, 1 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
const ROOT: &str = "documents";
/// Documents that one caller reads at once.
const READS_IN_FLIGHT: usize = 16;

/// A document's state: equal exactly where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(blake3::Hash);

impl Version {
    /// Of a document with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }
}

/// A document that was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its path, as it was put.
    pub path: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// Their state.
    pub version: Version,
}

/// What must hold for a put to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Create or replace.
    Always,
    /// Create only; else [`Error::AlreadyExists`].
    Absent,
    /// Replace only what was read; else [`Error::FailedPrecondition`] with reason `DOCUMENT_CHANGED`.
    Unchanged(Version),
}

impl Artifacts {
    /// Writes a document, whole or not at all. Paths are ids joined by `/`: `operations/abc`.
    pub async fn put_document(&self, path: &str, bytes: impl Into<Bytes>, condition: Condition) -> Result<Version> {
        let bytes: Bytes = bytes.into();
        let full_path = full_path(path)?;
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::invalid("", format!("{} bytes are above {MAX_DOCUMENT_BYTES}", bytes.len())));
        }
        let version = Version::of(&bytes);
        let sealed = envelope::seal(&bytes);
        let store = &self.inner.store;
        let _lock = self.lock(&full_path).await?;
        match condition {
            Condition::Always => {
                store.put(&full_path, sealed, Expect::Anything).await?;
            }
            Condition::Absent => {
                if !store.put(&full_path, sealed, Expect::Absent).await? {
                    return Err(Error::AlreadyExists { kind: "DOCUMENT", resource: path.to_owned() });
                }
            }
            Condition::Unchanged(expected) => {
                let current = store.get(&full_path).await?.ok_or_else(|| changed(path))?;
                let unchanged = envelope::open(&current.bytes).is_some_and(|bytes| Version::of(&bytes) == expected);
                if !unchanged || !store.put(&full_path, sealed, Expect::Unchanged(current.mark)).await? {
                    return Err(changed(path));
                }
            }
        }
        Ok(version)
    }

    /// Held over what others must not come between, where the store needs it.
    async fn lock(&self, full_path: &str) -> Result<Option<std::fs::File>> {
        match &self.inner.locks {
            Some(locks) => locks.lock(full_path).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads a document, if it is there. A damaged one is [`Error::FailedPrecondition`] with reason
    /// `DOCUMENT_DAMAGED`.
    pub async fn document(&self, path: &str) -> Result<Option<Document>> {
        let Some(object) = self.inner.store.get(&full_path(path)?).await? else { return Ok(None) };
        let bytes = envelope::open(&object.bytes).ok_or_else(|| damaged(path))?;
        Ok(Some(Document { path: path.to_owned(), version: Version::of(&bytes), bytes }))
    }

    /// Paths and stamps of all documents below a folder, by path: one listing, no document is read.
    pub async fn document_stamps(&self, folder: &str) -> Result<Vec<(String, Stamp)>> {
        let stamps = self.inner.store.stamps(&full_path(folder)?).await?;
        let short = |(path, stamp): (String, Stamp)| {
            let path = path.strip_prefix(ROOT)?.strip_prefix('/')?.to_owned();
            Some((path, stamp))
        };
        Ok(stamps.into_iter().filter_map(short).collect())
    }

    /// Paths of all documents below a folder, sorted.
    pub async fn document_paths(&self, folder: &str) -> Result<Vec<String>> {
        Ok(self.document_stamps(folder).await?.into_iter().map(|(path, _)| path).collect())
    }

    /// All documents below a folder, by path. One that goes meanwhile is left out, as is, told in the log,
    /// one that is damaged: it must not keep the others from being found.
    pub async fn documents(&self, folder: &str) -> Result<Vec<Document>> {
        let paths = stream::iter(self.document_paths(folder).await?);
        let reads = paths.map(|path| async move {
            match self.document(&path).await {
                Err(Error::FailedPrecondition { .. }) => Ok(None),
                read => read,
            }
        });
        let found: Vec<Option<Document>> = reads.buffered(READS_IN_FLIGHT).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Deletes a document; one that is not there is no error.
    pub async fn delete_document(&self, path: &str) -> Result<()> {
        let full_path = full_path(path)?;
        let _lock = self.lock(&full_path).await?;
        self.inner.store.delete(&full_path).await
    }
}

fn damaged(path: &str) -> Error {
    tracing::error!(artifact.path = path, "a document is damaged");
    Error::FailedPrecondition {
        reason: "DOCUMENT_DAMAGED",
        subject: path.to_owned(),
        description: format!("{path} is damaged in the artifact store: restore it or delete it"),
    }
}

fn changed(path: &str) -> Error {
    Error::FailedPrecondition {
        reason: "DOCUMENT_CHANGED",
        subject: path.to_owned(),
        description: format!("{path} was changed by someone else: read it again"),
    }
}

/// Ids of letters, digits, `-`, `_` and inner dots, so that no path leaves its folder.
fn full_path(path: &str) -> Result<String> {
    let is_id = |part: &str| {
        !part.is_empty()
            && part.len() <= 128
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if path.split('/').all(is_id) && path.len() <= 512 {
        return Ok(format!("{ROOT}/{path}"));
    }
    Err(Error::unexpected(format!("{path:?} is not a document's path")))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check_conditions(artifacts: Artifacts) {
        let path = "operations/a";
        let first = artifacts.put_document(path, "one", Condition::Absent).await.unwrap();
        let taken = artifacts.put_document(path, "two", Condition::Absent).await;
        assert!(matches!(taken, Err(Error::AlreadyExists { .. })));
        let second = artifacts.put_document(path, "two", Condition::Unchanged(first.clone())).await.unwrap();
        let late = artifacts.put_document(path, "three", Condition::Unchanged(first)).await;
        assert!(matches!(late, Err(Error::FailedPrecondition { reason: "DOCUMENT_CHANGED", .. })));
        let read = artifacts.document(path).await.unwrap().unwrap();
        assert_eq!((&read.bytes[..], read.version), (&b"two"[..], second));
        artifacts.put_document("operations/b.x", "b", Condition::Always).await.unwrap();
        assert_eq!(artifacts.document_paths("operations").await.unwrap(), ["operations/a", "operations/b.x"]);
        assert_eq!(artifacts.documents("operations").await.unwrap().len(), 2);
        artifacts.delete_document(path).await.unwrap();
        artifacts.delete_document(path).await.unwrap();
        assert!(artifacts.document(path).await.unwrap().is_none());
        assert!(artifacts.documents("nothing").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn conditions_hold_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        check_conditions(Artifacts::open_folder(folder.path()).unwrap()).await;
    }

    #[tokio::test]
    async fn conditions_hold_in_memory() {
        check_conditions(Artifacts::in_memory()).await;
    }

    #[tokio::test]
    async fn of_many_writers_who_read_the_same_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Artifacts::open_folder(folder.path()).unwrap();
        let start = open().put_document("x", "start", Condition::Always).await.unwrap();
        let writes = (0..8).map(|i| {
            // Each as a process of its own would have it.
            let (artifacts, start) = (open(), start.clone());
            async move { artifacts.put_document("x", format!("writer {i}"), Condition::Unchanged(start)).await }
        });
        let results = futures::future::join_all(writes).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    }

    #[tokio::test]
    async fn counting_by_many_processes_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Artifacts::open_folder(folder.path()).unwrap();
        open().put_document("count", "0", Condition::Always).await.unwrap();
        let counting = (0..4).map(|_| {
            let artifacts = open();
            tokio::spawn(async move {
                let mut counted = 0;
                while counted < 10 {
                    let read = artifacts.document("count").await.unwrap().unwrap();
                    let count: u32 = std::str::from_utf8(&read.bytes).unwrap().parse().unwrap();
                    let put =
                        artifacts.put_document("count", (count + 1).to_string(), Condition::Unchanged(read.version));
                    counted += u32::from(put.await.is_ok());
                }
            })
        });
        for counting in counting.collect::<Vec<_>>() {
            counting.await.unwrap();
        }
        assert_eq!(&open().document("count").await.unwrap().unwrap().bytes[..], b"40");
    }

    #[tokio::test]
    async fn stamps_move_with_every_write() {
        for artifacts in [Artifacts::in_memory(), Artifacts::open_folder(tempfile::tempdir().unwrap().path()).unwrap()]
        {
            artifacts.put_document("catalog/a", "1", Condition::Always).await.unwrap();
            artifacts.put_document("catalog/b/c", "1", Condition::Always).await.unwrap();
            let before = artifacts.document_stamps("catalog").await.unwrap();
            artifacts.put_document("catalog/a", "2", Condition::Always).await.unwrap();
            let after = artifacts.document_stamps("catalog").await.unwrap();
            let paths: Vec<&str> = after.iter().map(|(path, _)| path.as_str()).collect();
            assert_eq!(paths, ["catalog/a", "catalog/b/c"]);
            assert_ne!(before[0].1, after[0].1);
            assert_eq!(before[1], after[1]);
        }
    }

    #[tokio::test]
    async fn a_damaged_document_is_told_of_and_hides_no_other() {
        let artifacts = Artifacts::in_memory();
        for path in ["specs/a", "specs/b"] {
            artifacts.put_document(path, "the same long text", Condition::Always).await.unwrap();
        }
        let mut file = artifacts.inner.store.get("documents/specs/a").await.unwrap().unwrap().bytes.to_vec();
        *file.last_mut().unwrap() ^= 1;
        artifacts.inner.store.put("documents/specs/a", file.into(), Expect::Anything).await.unwrap();
        let read = artifacts.document("specs/a").await;
        assert!(matches!(read, Err(Error::FailedPrecondition { reason: "DOCUMENT_DAMAGED", .. })));
        let all = artifacts.documents("specs").await.unwrap();
        assert_eq!(all.iter().map(|document| document.path.as_str()).collect::<Vec<_>>(), ["specs/b"]);
        artifacts.put_document("specs/a", "new", Condition::Always).await.unwrap();
        assert!(artifacts.document("specs/a").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn paths_that_leave_their_folder_and_large_documents_are_refused() {
        let artifacts = Artifacts::in_memory();
        for path in ["", "/", "a//b", "../a", "a/..", "a b", "a/.hidden"] {
            assert!(artifacts.document(path).await.is_err(), "{path}");
        }
        let large = vec![0; MAX_DOCUMENT_BYTES + 1];
        assert!(artifacts.put_document("a", large, Condition::Always).await.is_err());
    }
}
