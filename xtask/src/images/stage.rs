//! Lays out what an image holds, in three folders that deploy/Dockerfile copies one by one: `libraries` (the same for
//! teacher and vae), `program`, and `owned`, which belongs to the service's user.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user of deploy/Dockerfile and k8s/base.
const PASSWD: &str = "root:x:0:0:root:/:/bin/false\ndeeper:x:65532:65532:deeper:/tmp:/bin/false\n";
const GROUP: &str = "root:x:0:\ndeeper:x:65532:\n";
/// Without it glibc may ask for names in other ways first.
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";
/// Where Debian, and rustls after it, have the authorities of the web: for buckets.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// An image that is being laid out.
pub(crate) struct Image {
    libraries: PathBuf,
    program: PathBuf,
    owned: PathBuf,
}

impl Image {
    /// Begins in `folder` with a program and all libraries that its loader would find here.
    pub(crate) fn of(program: &Path, folder: &Path) -> Result<Self> {
        let [libraries, binaries, owned] = ["libraries", "program", "owned"].map(|part| folder.join(part));
        let image = Self { libraries, program: binaries, owned };
        fs::create_dir_all(image.program.join("bin"))?;
        fs::create_dir_all(image.libraries.join("lib"))?;
        copy(program, &image.program.join("bin/service"))?;
        for (name, path) in libraries_of(program)? {
            // The loader is named by its full path in the program; everything else is looked for in /lib.
            let place = if Path::new(&name).is_absolute() { name[1..].to_owned() } else { format!("lib/{name}") };
            copy(&path, &image.libraries.join(place))?;
        }
        Ok(image)
    }

    /// Adds libraries that are loaded by name while the program runs.
    pub(crate) fn add_libraries(&self, files: &[PathBuf]) -> Result<()> {
        for file in files {
            let name = file.file_name().context("a library has a name")?;
            let place = self.libraries.join("lib").join(name);
            if !place.exists() {
                copy(file, &place)?;
            }
        }
        Ok(())
    }

    /// Adds a whole folder under a name in the root.
    pub(crate) fn add_folder(&mut self, from: &Path, name: &str) -> Result<()> {
        let mut folders = vec![from.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let below = path.strip_prefix(from).expect("it was found below");
                copy(&path, &self.program.join(name).join(below))?;
            }
        }
        Ok(())
    }

    /// Another name for the program, for whoever starts it by that.
    pub(crate) fn also_called(&mut self, name: &str) -> Result<()> {
        #[cfg(unix)]
        std::os::unix::fs::symlink("service", self.program.join("bin").join(name))?;
        #[cfg(not(unix))]
        bail!("an image cannot be laid out here: {name}");
        Ok(())
    }

    /// Names, certificates, and the places that may be written to.
    pub(crate) fn finish(self) -> Result<()> {
        let etc = self.program.join("etc");
        fs::create_dir_all(&etc)?;
        fs::write(etc.join("passwd"), PASSWD)?;
        fs::write(etc.join("group"), GROUP)?;
        fs::write(etc.join("nsswitch.conf"), NSSWITCH)?;
        let certificates = Path::new("/").join(CERTIFICATES);
        ensure!(certificates.is_file(), "/{CERTIFICATES} is missing; run `sudo apt-get install ca-certificates`");
        copy(&certificates, &self.program.join(CERTIFICATES))?;
        for folder in ["tmp", "artifacts"] {
            fs::create_dir_all(self.owned.join(folder))?;
        }
        Ok(())
    }
}

/// Follows links: an image has files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().expect("a path below a folder has a parent"))?;
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Name to path of what the loader loads with `program`; the loader itself by its full path.
fn libraries_of(program: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
    ensure!(output.status.success(), "ldd cannot read {}; is it built?", program.display());
    read_ldd(&String::from_utf8_lossy(&output.stdout))
}

fn read_ldd(text: &str) -> Result<BTreeMap<String, PathBuf>> {
    let mut libraries = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, rest) = line.split_once(" => ").unwrap_or((line, line));
        let name = name.split(" (").next().unwrap_or_default();
        let path = rest.split(" (").next().unwrap_or_default();
        match path {
            "not found" => bail!("the program needs {name}, which is not on this machine"),
            path if path.starts_with('/') => libraries.insert(name.to_owned(), path.into()),
            // The kernel's own, which is no file.
            _ => continue,
        };
    }
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_says() {
        let text =
            "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x7f)\n";
        let libraries = read_ldd(text).unwrap();
        assert_eq!(libraries.keys().collect::<Vec<_>>(), ["/lib64/ld.so.2", "libc.so.6"]);
        assert_eq!(libraries["libc.so.6"], Path::new("/lib/x/libc.so.6"));
        assert_eq!(libraries["/lib64/ld.so.2"], Path::new("/lib64/ld.so.2"));
    }

    #[test]
    fn library_that_is_missing_here_is_named() {
        assert!(read_ldd("\tlibz.so.1 => not found\n").unwrap_err().to_string().contains("libz.so.1"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn image_holds_the_program_its_loader_and_places_to_write_to() {
        let folder = tempfile::tempdir().unwrap();
        let mut image = Image::of(&std::env::current_exe().unwrap(), folder.path()).unwrap();
        image.also_called("another").unwrap();
        assert!(folder.path().join("program/bin/service").is_file());
        assert!(folder.path().join("program/bin/another").is_file());
        let loaders = fs::read_dir(folder.path().join("libraries")).unwrap().count();
        assert!(loaders >= 2, "lib and the loader's folder");
        image.finish().unwrap();
        assert!(folder.path().join("owned/tmp").is_dir());
    }
}
