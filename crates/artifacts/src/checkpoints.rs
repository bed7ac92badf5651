//! Checkpoints: a model's bytes under the name of their digest, and a small record that is written
//! after them. A reader follows the record, so it never meets half a checkpoint or a mix of two.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use domain::{Error, ResourceName, Result};

use crate::{Artifacts, store::Expect};

const FIRST_LINE: &str = "deeper checkpoint 1";
/// A replacement may delete the bytes between reading the record and reading them; so often in a row
/// it does not.
const READ_ATTEMPTS: usize = 3;

/// For so long a digest that was read is taken for the present one by [`Artifacts::recent_digest`].
const RECENT: Duration = Duration::from_secs(1);
/// Digests that are remembered.
const MAX_RECENT_COUNT: usize = 1_000;

/// Digests of final checkpoints and when they were read.
#[derive(Debug, Default)]
pub(crate) struct CheckpointCache {
    recent: Mutex<HashMap<ResourceName, (Instant, String)>>,
}

/// Which of a model's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Of a training that goes on: weights, optimizer state, position in the data.
    Latest,
    /// Of a training that has ended: weights to serve.
    Final,
}

/// A checkpoint that has the digest it was written with.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What was put.
    pub bytes: Bytes,
    /// blake3 of `bytes` in hex.
    pub digest: String,
    /// What its writer noted beside it.
    pub config: String,
}

/// What is known of a checkpoint without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// blake3 of its bytes in hex.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// What its writer noted beside it.
    pub config: String,
}

impl Artifacts {
    /// Stores a checkpoint in place of the one that was in the slot. Answers the digest of `bytes` in hex.
    pub async fn put_checkpoint(
        &self,
        model: &ResourceName,
        slot: Slot,
        bytes: impl Into<Bytes>,
        config: &str,
    ) -> Result<String> {
        let bytes: Bytes = bytes.into();
        let digest = digest(&bytes).await?;
        let info = CheckpointInfo { digest: digest.clone(), size: bytes.len() as u64, config: config.to_owned() };
        let kept = bytes_path(model, slot, &digest);
        self.inner.store.put(&kept, bytes, Expect::Anything).await?;
        self.inner.store.put(&record_path(model, slot), Bytes::from(info.to_text()), Expect::Anything).await?;
        self.forget_digest(model);
        self.delete_bytes(model, slot, Some(&kept)).await?;
        Ok(digest)
    }

    /// The checkpoint of a slot, if there is one. One that is damaged counts as none in [`Slot::Latest`],
    /// where the training starts again, and is an error in [`Slot::Final`].
    pub async fn checkpoint(&self, model: &ResourceName, slot: Slot) -> Result<Option<Checkpoint>> {
        for _ in 0..READ_ATTEMPTS {
            let Some(info) = self.checkpoint_info(model, slot).await? else { return Ok(None) };
            let Some(object) = self.inner.store.get(&bytes_path(model, slot, &info.digest)).await? else { continue };
            if digest(&object.bytes).await? == info.digest {
                return Ok(Some(Checkpoint { bytes: object.bytes, digest: info.digest, config: info.config }));
            }
            break;
        }
        damaged(model, slot)
    }

    /// Digest, size and config of a slot's checkpoint, if there is one.
    pub async fn checkpoint_info(&self, model: &ResourceName, slot: Slot) -> Result<Option<CheckpointInfo>> {
        let Some(object) = self.inner.store.get(&record_path(model, slot)).await? else { return Ok(None) };
        match std::str::from_utf8(&object.bytes).ok().and_then(CheckpointInfo::parse) {
            Some(info) => Ok(Some(info)),
            None => damaged(model, slot),
        }
    }

    /// The digest of a model's final weights, if it has any, as it is or was a second ago: for callers that
    /// ask with every image whether the weights are still those that they have. While the store cannot be asked,
    /// as it last was.
    pub async fn recent_digest(&self, model: &ResourceName) -> Result<Option<String>> {
        let lock = || self.inner.checkpoints.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(model).cloned();
        if let Some((read_at, digest)) = &known
            && read_at.elapsed() < RECENT
        {
            return Ok(Some(digest.clone()));
        }
        let read_at = Instant::now();
        let info = match (self.checkpoint_info(model, Slot::Final).await, known) {
            (Ok(info), _) => info,
            (Err(error), Some((_, digest))) => {
                tracing::warn!(model.name = %model, %error, "the weights in use are not compared with the store's");
                return Ok(Some(digest));
            }
            (Err(error), None) => return Err(error),
        };
        // Weights that are not there yet are looked for each time.
        let Some(info) = info else { return Ok(None) };
        let mut recent = lock();
        if recent.len() >= MAX_RECENT_COUNT {
            recent.clear();
        }
        recent.insert(model.clone(), (read_at, info.digest.clone()));
        Ok(Some(info.digest))
    }

    /// Empties a slot.
    pub async fn delete_checkpoint(&self, model: &ResourceName, slot: Slot) -> Result<()> {
        self.inner.store.delete(&record_path(model, slot)).await?;
        self.delete_bytes(model, slot, None).await
    }

    /// Deletes a model's checkpoints and, for a teacher, its evaluations.
    pub async fn delete_model(&self, model: &ResourceName) -> Result<()> {
        self.forget_digest(model);
        self.inner.store.delete_folder(&folder(model)).await?;
        self.inner.store.delete_folder(&crate::evaluations::folder(model)).await
    }

    fn forget_digest(&self, model: &ResourceName) {
        self.inner.checkpoints.recent.lock().unwrap_or_else(PoisonError::into_inner).remove(model);
    }

    async fn delete_bytes(&self, model: &ResourceName, slot: Slot, kept: Option<&str>) -> Result<()> {
        let prefix = format!("{}-", record_path(model, slot));
        for path in self.inner.store.list(&folder(model)).await? {
            if path.starts_with(&prefix) && Some(path.as_str()) != kept {
                self.inner.store.delete(&path).await?;
            }
        }
        Ok(())
    }
}

impl CheckpointInfo {
    fn to_text(&self) -> String {
        format!("{FIRST_LINE}\ndigest {}\nsize {}\n\n{}", self.digest, self.size, self.config)
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, config) = text.split_once("\n\n")?;
        let mut lines = head.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let digest = lines.next()?.strip_prefix("digest ")?.to_owned();
        let size = lines.next()?.strip_prefix("size ")?.parse().ok()?;
        // The digest names a file.
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| Self { digest, size, config: config.to_owned() })
    }
}

fn damaged<T>(model: &ResourceName, slot: Slot) -> Result<Option<T>> {
    tracing::error!(model.name = %model, ?slot, "a checkpoint is damaged");
    match slot {
        Slot::Latest => Ok(None),
        Slot::Final => Err(Error::FailedPrecondition {
            reason: "CHECKPOINT_DAMAGED",
            subject: model.to_string(),
            description: format!("the weights of {model} are damaged: delete it and train it again"),
        }),
    }
}

/// Hashing 100 MB takes some 50 ms: too long for an async thread.
async fn digest(bytes: &Bytes) -> Result<String> {
    let bytes = bytes.clone();
    let hash = tokio::task::spawn_blocking(move || blake3::hash(&bytes)).await.map_err(Error::unexpected)?;
    Ok(hash.to_hex().to_string())
}

fn folder(model: &ResourceName) -> String {
    format!("models/{model}")
}

fn record_path(model: &ResourceName, slot: Slot) -> String {
    let slot = match slot {
        Slot::Latest => "latest",
        Slot::Final => "final",
    };
    format!("{}/{slot}", folder(model))
}

fn bytes_path(model: &ResourceName, slot: Slot, digest: &str) -> String {
    format!("{}-{digest}.safetensors", record_path(model, slot))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model() -> ResourceName {
        ResourceName::parse("teachers/t", ResourceName::TEACHER).unwrap()
    }

    #[tokio::test]
    async fn a_checkpoint_replaces_the_one_before_it_and_leaves_no_bytes_behind() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open_folder(folder.path()).unwrap();
        assert!(artifacts.checkpoint(&model(), Slot::Latest).await.unwrap().is_none());
        artifacts.put_checkpoint(&model(), Slot::Final, vec![9; 10], "done").await.unwrap();
        for round in 0..3u8 {
            let config = format!("epoch {round}\n\nblank lines stay");
            let digest = artifacts.put_checkpoint(&model(), Slot::Latest, vec![round; 1_000], &config).await.unwrap();
            let read = artifacts.checkpoint(&model(), Slot::Latest).await.unwrap().unwrap();
            assert_eq!((&read.bytes[..], read.digest, read.config), (&[round; 1_000][..], digest, config));
        }
        let files = artifacts.inner.store.list("models/teachers/t").await.unwrap();
        assert_eq!(files.len(), 4, "two records, two checkpoints: {files:?}");
        artifacts.delete_checkpoint(&model(), Slot::Latest).await.unwrap();
        assert!(artifacts.checkpoint(&model(), Slot::Latest).await.unwrap().is_none());
        artifacts.delete_model(&model()).await.unwrap();
        assert!(artifacts.checkpoint(&model(), Slot::Final).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_digest_is_that_of_the_weights_and_never_older_than_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Artifacts::open_folder(folder.path()).unwrap();
        let (own, other) = (open(), open());
        assert_eq!(own.recent_digest(&model()).await.unwrap(), None);
        let first = own.put_checkpoint(&model(), Slot::Final, vec![1; 10], "").await.unwrap();
        for artifacts in [&own, &other] {
            assert_eq!(artifacts.recent_digest(&model()).await.unwrap(), Some(first.clone()));
        }
        let second = own.put_checkpoint(&model(), Slot::Final, vec![2; 10], "").await.unwrap();
        assert_eq!(own.recent_digest(&model()).await.unwrap(), Some(second.clone()));
        tokio::time::sleep(RECENT).await;
        assert_eq!(other.recent_digest(&model()).await.unwrap(), Some(second));
        own.delete_model(&model()).await.unwrap();
        assert_eq!(own.recent_digest(&model()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn damaged_weights_are_an_error_and_a_damaged_training_starts_again() {
        let artifacts = Artifacts::in_memory();
        for slot in [Slot::Latest, Slot::Final] {
            let digest = artifacts.put_checkpoint(&model(), slot, vec![1; 10], "").await.unwrap();
            let path = bytes_path(&model(), slot, &digest);
            artifacts.inner.store.put(&path, Bytes::from_static(b"other"), Expect::Anything).await.unwrap();
        }
        assert!(artifacts.checkpoint(&model(), Slot::Latest).await.unwrap().is_none());
        let served = artifacts.checkpoint(&model(), Slot::Final).await;
        assert!(matches!(served, Err(Error::FailedPrecondition { reason: "CHECKPOINT_DAMAGED", .. })));
    }

    proptest! {
        #[test]
        fn any_record_is_read_or_refused(text in ".{0,200}") {
            let _ = CheckpointInfo::parse(&text);
            let _ = CheckpointInfo::parse(&format!("{FIRST_LINE}\n{text}\n\n"));
        }
    }
}
