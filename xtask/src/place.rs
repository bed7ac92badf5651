//! Where things are: the checkout, the user's cache and data folders, cargo's target folder. And how a folder
//! gets into the cache: whole or not at all.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "visualize-it-deeper";
const PARTIAL: &str = ".partial-";
/// Leftovers of an interrupted run are swept after this long; a run in progress is younger.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The top folder of the checkout.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().expect("xtask is a folder of the workspace").to_path_buf()
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// The built page.
pub(crate) fn page() -> PathBuf {
    root().join("dist")
}

/// What is fetched once for all checkouts of a user.
pub(crate) fn cache() -> Result<PathBuf> {
    user_folder("XDG_CACHE_HOME", ".cache")
}

/// Where the standalone system keeps its models and explanations unless told otherwise.
pub(crate) fn data() -> Result<PathBuf> {
    user_folder("XDG_DATA_HOME", ".local/share")
}

/// The libtorch that the user chose by setting LIBTORCH, if it is not just our own link.
pub(crate) fn libtorch_of_ones_own() -> Option<PathBuf> {
    std::env::var_os("LIBTORCH").map(PathBuf::from).filter(|folder| *folder != root().join("libtorch"))
}

fn user_folder(variable: &str, below_home: &str) -> Result<PathBuf> {
    // The XDG convention: a relative path there is to be ignored.
    if let Some(folder) = std::env::var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        return Ok(folder.join(NAME));
    }
    let home = std::env::home_dir().with_context(|| format!("cannot tell the home folder; set {variable}"))?;
    Ok(home.join(below_home).join(NAME))
}

/// Creates the folder `cache()/name` with what `fill` writes into the empty folder it is given. The folder gets
/// its name only when `fill` is done, so whoever finds the name finds it whole. An existing folder is kept.
pub(crate) fn install(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    install_in(&cache()?, name, fill)
}

fn install_in(cache: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    sweep(cache);
    let partial = scratch_in(cache)?;
    let content = partial.path().join("content");
    fs::create_dir(&content)?;
    fill(&content)?;
    match fs::rename(&content, &folder) {
        // Somebody else was quicker; theirs is as good.
        Err(_) if folder.is_dir() => Ok(folder),
        renamed => renamed.with_context(|| format!("cannot move into {}", folder.display())).map(|()| folder),
    }
}

/// A scratch folder on the cache's disk (a wheel may be larger than what a memory-backed /tmp holds).
pub(crate) fn scratch() -> Result<tempfile::TempDir> {
    scratch_in(&cache()?)
}

fn scratch_in(cache: &Path) -> Result<tempfile::TempDir> {
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    tempfile::Builder::new().prefix(PARTIAL).tempdir_in(cache).context("cannot create a scratch folder")
}

/// Removes scratch folders that an interrupted run left behind. A failure to do so harms nobody.
fn sweep(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|time| time.elapsed().ok());
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) && age.is_some_and(|age| age > ABANDONED_AFTER) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_installation_leaves_nothing_under_the_name() {
        let cache = tempfile::tempdir().unwrap();
        let failed = install_in(cache.path(), "thing-1", |folder| {
            fs::write(folder.join("half"), "…")?;
            anyhow::bail!("the disk is full")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }

    #[test]
    fn installed_folder_is_not_made_twice() {
        let cache = tempfile::tempdir().unwrap();
        let first = install_in(cache.path(), "thing-1", |folder| Ok(fs::write(folder.join("file"), "first")?)).unwrap();
        let second = install_in(cache.path(), "thing-1", |_| panic!("filled again")).unwrap();
        assert_eq!(first, second);
        assert_eq!(fs::read_to_string(second.join("file")).unwrap(), "first");
    }
}
