//! Debian packages: installed when this process may, named when it may not. And single programs out of packages that
//! would start a server.

use crate::{command, place};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Installs `packages`, which are missing for the purpose `purpose` ("compiling libtorch's bindings").
pub(crate) fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let names = packages.join(" ");
    if !command::on_path("apt-get") {
        bail!("{purpose} needs {names}; install it with your system's package manager, then run this again");
    }
    let Some(prefix) = privilege() else {
        bail!("{purpose} needs {names}; run `sudo apt-get install {names}`, then run this again");
    };
    command::run("refreshing the list of Debian packages", &mut apt(&prefix, &["update"]))?;
    // Another apt-get may be at work on a machine that has just started: wait for its lock.
    let install = ["--option", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends"];
    let mut install = apt(&prefix, &[install.as_slice(), packages].concat());
    command::run(&format!("installing {names} for {purpose}"), &mut install)
}

/// One program out of the first of these packages that holds it, for the purpose `purpose` ("checking the alerts"). They
/// are downloaded and not installed; it lies in the user's cache. `inside` is its path in the package.
pub(crate) fn program(packages: &[&str], inside: &str, purpose: &str) -> Result<PathBuf> {
    let name = Path::new(inside).file_name().context("a program has a name")?;
    if !command::on_path("apt-get") || !command::on_path("dpkg-deb") {
        bail!("{purpose} needs {}; install it, then run this again", name.display());
    }
    let folder = place::install(&name.to_string_lossy(), |folder| {
        for package in packages {
            let scratch = place::scratch()?;
            let unpacked = unpack(package, scratch.path(), purpose)?;
            if unpacked.join(inside).is_file() {
                fs::copy(unpacked.join(inside), folder.join(name))?;
                return Ok(());
            }
        }
        bail!("{purpose} needs {inside}, which is in none of Debian's packages {}", packages.join(", "))
    })?;
    Ok(folder.join(name))
}

/// Downloads a package and unpacks it, into a folder of `scratch`.
fn unpack(package: &str, scratch: &Path, purpose: &str) -> Result<PathBuf> {
    let download = || {
        let mut download = Command::new("apt-get");
        download.args(["--quiet", "--quiet", "download", package]).current_dir(scratch);
        download
    };
    if !command::succeeds(&mut download()) {
        refresh(purpose)?;
        command::run(&format!("downloading Debian's package {package}"), &mut download())?;
    }
    let file = fs::read_dir(scratch)?.next().context("apt-get left no package")??.path();
    let unpacked = scratch.join("unpacked");
    let mut unpack = Command::new("dpkg-deb");
    command::run(&format!("unpacking {package}"), unpack.arg("-x").arg(file).arg(&unpacked))?;
    Ok(unpacked)
}

/// Refreshes the list of packages, for those that are downloaded and not installed.
fn refresh(purpose: &str) -> Result<()> {
    let Some(prefix) = privilege() else {
        bail!("{purpose} needs a fresh list of packages; run `sudo apt-get update`, then run this again");
    };
    command::run("refreshing the list of Debian packages", &mut apt(&prefix, &["update"]))
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Command {
    let words = prefix.iter().chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    let mut words = words.chain(arguments);
    let mut command = Command::new(words.next().expect("the list starts with env or sudo"));
    command.args(words);
    command
}

/// The words that make a command run as root, if there is a way.
fn privilege() -> Option<Vec<&'static str>> {
    let user = Command::new("id").arg("-u").output().ok()?;
    if user.stdout.trim_ascii() == b"0" {
        return Some(vec![]);
    }
    // Without a terminal nobody could type the password that sudo may ask for.
    let may_ask = std::io::stdin().is_terminal() && command::on_path("sudo");
    let needs_no_password = command::succeeds(Command::new("sudo").args(["-n", "true"]));
    (may_ask || needs_no_password).then(|| vec!["sudo"])
}
