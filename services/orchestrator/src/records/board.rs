//! The replicas' board as documents beside the records.

use artifacts::Condition;
use async_trait::async_trait;
use domain::{Error, ResourceName, Result};

use super::{FOLDER, StoredRecords};
use crate::ports::Board;

/// Folders below the catalog's.
pub(super) const CLAIMS: &str = "claims";
pub(super) const REPLICAS: &str = "replicas";
pub(super) const REQUESTS: &str = "requests";

impl StoredRecords {
    async fn put(&self, path: &str, text: &str, condition: Condition) -> Result<bool> {
        match self.artifacts.put_document(path, text.to_owned(), condition).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::FailedPrecondition { reason: "DOCUMENT_CHANGED", .. }) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Board for StoredRecords {
    async fn beat(&self, replica: &str, count: u64) -> Result<()> {
        let mut presence = self.presence.lock().await;
        if presence.is_none() {
            *presence = self.artifacts.appear(replica).await?.map(|presence| (replica.to_owned(), presence));
        }
        drop(presence);
        self.put(&path(REPLICAS, replica), &count.to_string(), Condition::Always).await.map(drop)
    }

    async fn leave(&self, replica: &str) -> Result<()> {
        self.artifacts.delete_document(&path(REPLICAS, replica)).await?;
        // Dead replicas are taken off the board by others, whose own signs stay.
        self.presence.lock().await.take_if(|(owner, _)| *owner == replica);
        Ok(())
    }

    async fn bury(&self, replica: &str) -> Result<bool> {
        let has_vanished = self.artifacts.has_vanished(replica).await?;
        if has_vanished {
            self.artifacts.delete_document(&path(REPLICAS, replica)).await?;
        }
        Ok(has_vanished)
    }

    async fn owner(&self, operation: &ResourceName) -> Result<Option<String>> {
        let document = self.artifacts.document(&path(CLAIMS, operation.id())).await?;
        Ok(document.map(|document| String::from_utf8_lossy(&document.bytes).into_owned()))
    }

    async fn claim(&self, operation: &ResourceName, replica: &str, from: Option<&str>) -> Result<bool> {
        let condition = match from {
            None => Condition::Absent,
            Some(owner) => Condition::Unchanged(artifacts::Version::of(owner.as_bytes())),
        };
        self.put(&path(CLAIMS, operation.id()), replica, condition).await
    }

    async fn release(&self, operation: &ResourceName) -> Result<()> {
        self.artifacts.delete_document(&path(CLAIMS, operation.id())).await
    }

    async fn request_end(&self, id: &str) -> Result<()> {
        self.put(&path(REQUESTS, id), "end", Condition::Always).await.map(drop)
    }

    async fn forget_request(&self, id: &str) -> Result<()> {
        self.artifacts.delete_document(&path(REQUESTS, id)).await
    }
}

fn path(folder: &str, id: &str) -> String {
    format!("{FOLDER}/{folder}/{id}")
}
