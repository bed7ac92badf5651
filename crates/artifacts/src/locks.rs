//! Locks between the processes that share a local folder: what makes a read-compare-write of a document
//! one step there. Buckets have conditional puts of their own and need none.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use domain::{Error, Result};

/// Documents share so many locks, so that few wait for others.
const LOCK_COUNT: u64 = 64;
const FOLDER: &str = ".locks";

/// The lock files of a folder. The system lets go of a lock when its process ends, however it does.
#[derive(Debug, Clone)]
pub(crate) struct Locks {
    folder: PathBuf,
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
        tokio::task::spawn_blocking(wait).await.map_err(Error::unexpected)?.map_err(|error: std::io::Error| {
            tracing::error!(%error, "a lock of the artifact folder cannot be taken");
            crate::store::unavailable()
        })
    }
}
