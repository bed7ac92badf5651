//! `Documents` in the artifact store.

use artifacts::{Artifacts, Condition, Version};
use async_trait::async_trait;
use domain::{Error, Result};

use crate::ports::Documents;

#[async_trait]
impl Documents for Artifacts {
    async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        match self.put_document(path, bytes, Condition::Absent).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn replace(&self, path: &str, expected: &[u8], bytes: Vec<u8>) -> Result<bool> {
        match self.put_document(path, bytes, Condition::Unchanged(Version::of(expected))).await {
            Ok(_) => Ok(true),
            Err(Error::FailedPrecondition { reason: "DOCUMENT_CHANGED", .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.put_document(path, bytes, Condition::Always).await.map(drop)
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.document(path).await?.map(|document| document.bytes.to_vec()))
    }

    async fn list(&self, folder: &str) -> Result<Vec<Vec<u8>>> {
        let documents = self.documents(folder).await?;
        Ok(documents.into_iter().map(|document| document.bytes.to_vec()).collect())
    }

    async fn paths(&self, folder: &str) -> Result<Vec<String>> {
        self.document_paths(folder).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.delete_document(path).await
    }
}
