//! Chromium and its driver, with which the browser test walks the page.

use super::apt;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The two programs, by full path.
pub(crate) struct Browser {
    pub(crate) chromium: PathBuf,
    pub(crate) chromedriver: PathBuf,
}

/// Finds the browser, or installs Debian's.
pub(crate) fn ensure() -> Result<Browser> {
    if let Some(browser) = find() {
        return Ok(browser);
    }
    if is_ubuntu() {
        bail!(
            "the browser test needs Chromium, which Ubuntu packages as a snap that apt-get cannot bring whole; \
             run `sudo snap install chromium`, or put chromium (or google-chrome) and a matching chromedriver \
             on PATH, then run this again"
        );
    }
    apt::install(&["chromium", "chromium-driver"], "the browser test")?;
    find().context("chromium and chromedriver were installed but are not on PATH")
}

fn find() -> Option<Browser> {
    Some(Browser {
        chromium: program("CHROMIUM", &["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"])?,
        chromedriver: program("CHROMEDRIVER", &["chromedriver", "chromium.chromedriver"])?,
    })
}

/// The program that `variable` names, else the first of `names` on PATH.
fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        return path.is_file().then_some(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|file| file.is_file() && !is_snap_stub(file))
}

/// Ubuntu's packages install a short shell script that only says where the snap is.
fn is_snap_stub(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|it| it.len() < 10_000)
        && fs::read_to_string(file).is_ok_and(|script| script.contains("snap install"))
}

fn is_ubuntu() -> bool {
    fs::read_to_string("/etc/os-release").is_ok_and(|text| text.lines().any(|line| line == "ID=ubuntu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_that_only_points_to_a_snap_is_no_browser() {
        let folder = tempfile::tempdir().unwrap();
        let (stub, wrapper) = (folder.path().join("stub"), folder.path().join("wrapper"));
        fs::write(&stub, "#!/bin/sh\necho requires the chromium snap: snap install chromium\nexit 1\n").unwrap();
        fs::write(&wrapper, "#!/bin/sh\nexec /usr/lib/chromium/chromium \"$@\"\n").unwrap();
        assert!(is_snap_stub(&stub));
        assert!(!is_snap_stub(&wrapper));
    }
}
