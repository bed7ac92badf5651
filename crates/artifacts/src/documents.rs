//! Documents: a few kilobytes under a path, put on condition. What is in them is their writer's affair.

use bytes::Bytes;
use domain::{Error, Result};

use crate::{Artifacts, store::Expect};

/// Largest document, 1 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
const ROOT: &str = "documents";

/// A document's state: equal exactly where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(blake3::Hash);

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
        let version = Version(blake3::hash(&bytes));
        let store = &self.inner.store;
        match condition {
            Condition::Always => {
                store.put(&full_path, bytes, Expect::Anything).await?;
            }
            Condition::Absent => {
                if !store.put(&full_path, bytes, Expect::Absent).await? {
                    return Err(Error::AlreadyExists { kind: "DOCUMENT", resource: path.to_owned() });
                }
            }
            Condition::Unchanged(expected) => {
                let _lock = self.inner.conditional_put.lock().await;
                let current = store.get(&full_path).await?.ok_or_else(|| changed(path))?;
                let unchanged = Version(blake3::hash(&current.bytes)) == expected;
                if !unchanged || !store.put(&full_path, bytes, Expect::Unchanged(current.mark)).await? {
                    return Err(changed(path));
                }
            }
        }
        Ok(version)
    }

    /// Reads a document, if it is there.
    pub async fn document(&self, path: &str) -> Result<Option<Document>> {
        let object = self.inner.store.get(&full_path(path)?).await?;
        Ok(object.map(|object| Document {
            path: path.to_owned(),
            version: Version(blake3::hash(&object.bytes)),
            bytes: object.bytes,
        }))
    }

    /// Paths of all documents below a folder, sorted.
    pub async fn document_paths(&self, folder: &str) -> Result<Vec<String>> {
        let paths = self.inner.store.list(&full_path(folder)?).await?;
        Ok(paths.iter().filter_map(|path| path.strip_prefix(ROOT)?.strip_prefix('/')).map(str::to_owned).collect())
    }

    /// All documents below a folder, by path. One that goes meanwhile is left out.
    pub async fn documents(&self, folder: &str) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        for path in self.document_paths(folder).await? {
            documents.extend(self.document(&path).await?);
        }
        Ok(documents)
    }

    /// Deletes a document; one that is not there is no error.
    pub async fn delete_document(&self, path: &str) -> Result<()> {
        self.inner.store.delete(&full_path(path)?).await
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
        let artifacts = Artifacts::open_folder(folder.path()).unwrap();
        let start = artifacts.put_document("x", "start", Condition::Always).await.unwrap();
        let writes = (0..8).map(|i| {
            let (artifacts, start) = (artifacts.clone(), start.clone());
            async move { artifacts.put_document("x", format!("writer {i}"), Condition::Unchanged(start)).await }
        });
        let results = futures::future::join_all(writes).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
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
