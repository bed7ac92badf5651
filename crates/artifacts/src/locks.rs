//! Locks between the processes that share a local folder: what makes a read-compare-write of a document
//! one step there, and what proves that a process has ended. Buckets have conditional puts of their own and need
//! none; who is gone is not to be seen there.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use domain::{Error, Result};

use crate::Artifacts;

/// Documents share so many locks, so that few wait for others.
const LOCK_COUNT: u64 = 64;
const FOLDER: &str = ".locks";

/// The lock files of a folder. The system lets go of a lock when its process ends, however it does.
#[derive(Debug, Clone)]
pub(crate) struct Locks {
    folder: PathBuf,
}

/// Shows that its process has not ended. Dropping it takes the sign away.
#[derive(Debug)]
pub struct Presence {
    path: PathBuf,
    _locked: File,
}

impl Drop for Presence {
    fn drop(&mut self) {
        // One that stays is taken for a process that has ended, which is right.
        std::fs::remove_file(&self.path).ok();
    }
}

impl Artifacts {
    /// Holds a lock under a name that no other process has, an id of letters, digits and `-`. `None` where the
    /// store is no folder.
    pub async fn appear(&self, id: &str) -> Result<Option<Presence>> {
        let Some(locks) = &self.inner.locks else { return Ok(None) };
        let path = locks.presence(id)?;
        let hold = move || {
            let file = OpenOptions::new().create_new(true).write(true).open(&path)?;
            file.lock()?;
            Ok(Presence { path, _locked: file })
        };
        tokio::task::spawn_blocking(hold).await.map_err(Error::unexpected)?.map_err(untakable).map(Some)
    }

    /// Whether the process that appeared under this name has ended otherwise than by taking its sign away: its
    /// lock can be taken. `false` tells nothing. Where it has, the sign is taken away.
    pub async fn has_vanished(&self, id: &str) -> Result<bool> {
        let Some(locks) = &self.inner.locks else { return Ok(false) };
        let path = locks.presence(id)?;
        let try_it = move || {
            let Ok(file) = OpenOptions::new().write(true).open(&path) else { return false };
            if file.try_lock().is_err() {
                return false;
            }
            // Who took its sign away meanwhile has left, and may have put up another one.
            let is_there = is_same(&file, &path);
            if is_there {
                std::fs::remove_file(&path).ok();
            }
            is_there
        };
        tokio::task::spawn_blocking(try_it).await.map_err(Error::unexpected)
    }
}

/// Whether this is the file that is under the path now.
fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

fn untakable(error: std::io::Error) -> Error {
    tracing::error!(%error, "a lock of the artifact folder cannot be taken");
    crate::store::unavailable()
}

impl Locks {
    /// In `store`, which exists.
    pub(crate) fn new(store: &Path) -> std::io::Result<Self> {
        let folder = store.join(FOLDER);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Waits for the lock of a path, which is held until the file is dropped. Writers hold it for one
    /// small file, so nobody waits long.
    pub(crate) async fn lock(&self, path: &str) -> Result<File> {
        let hash = blake3::hash(path.as_bytes());
        let number = u64::from(hash.as_bytes()[0]) % LOCK_COUNT;
        let file = self.folder.join(number.to_string());
        let wait = move || {
            // A file of one's own for each wait: locks belong to open files, so that tasks of one process
            // wait for each other as well.
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(file)?;
            file.lock()?;
            Ok(file)
        };
        tokio::task::spawn_blocking(wait).await.map_err(Error::unexpected)?.map_err(untakable)
    }

    fn presence(&self, id: &str) -> Result<PathBuf> {
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_id { Ok(self.folder.join(format!("present-{id}"))) } else { Err(Error::invalid("", "is no id")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_that_nobody_holds_any_more_proves_that_its_process_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let [here, there] = [(); 2].map(|()| Artifacts::open_folder(folder.path()).unwrap());
        assert!(!there.has_vanished("a").await.unwrap(), "it has never been there");
        let present = here.appear("a").await.unwrap().unwrap();
        for _ in 0..3 {
            assert!(!there.has_vanished("a").await.unwrap());
        }
        // Its file stays as it would after a kill, and the system lets go of its lock.
        let file = present.path.clone();
        std::fs::rename(&file, file.with_extension("kept")).unwrap();
        drop(present);
        std::fs::rename(file.with_extension("kept"), &file).unwrap();
        assert!(there.has_vanished("a").await.unwrap());
        assert!(!there.has_vanished("a").await.unwrap(), "it is told once");

        drop(here.appear("b").await.unwrap());
        assert!(!there.has_vanished("b").await.unwrap(), "it took its sign away");
        assert!(here.appear("../b").await.is_err());
        assert!(Artifacts::in_memory().appear("a").await.unwrap().is_none());
    }
}
