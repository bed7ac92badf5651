//! `cargo xtask check`: all that can be said about the code without running it.

use crate::steps::Steps;
use crate::{command, manifests, place, setup};
use anyhow::{Result, bail};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The native workspace with libtorch, as clippy, the build and the tests all name it: with one and the same
/// choice of packages and features nothing is compiled twice. xtask is left out, because it is compiled already,
/// with features that would differ in such company.
pub(crate) const NATIVE: [&str; 5] = [
    "--workspace",
    "--exclude",
    "xtask",
    "--features",
    "artifacts/cloud,teacher/torch,vae/torch,integration-tests/torch",
];

/// The advisory database is small; a fetch that takes longer has met a closed network.
const ADVISORY_FETCH_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.need("setup", setup::for_building)?;
    take_all(&mut steps);
    steps.summarize();
    steps.verdict()
}

/// Takes every check, quick ones first.
pub(crate) fn take_all(steps: &mut Steps) {
    steps.take("formatting", formatting);
    steps.take("protos", protos);
    steps.take("dependencies", dependencies);
    manifests::take_all(steps);
    steps.take("clippy of xtask", || clippy("xtask", &["--package", "xtask"]));
    steps.take("clippy of the native workspace", || clippy("the native workspace", &NATIVE));
    steps.take("clippy of the page", || {
        clippy("the page", &["--package", "frontend", "--target", setup::WASM_TARGET, "--bins"])
    });
}

fn formatting() -> Result<()> {
    command::run("checking the formatting", &mut command::cargo(["fmt", "--all", "--", "--check"]))
}

fn protos() -> Result<()> {
    let buf = setup::tools::buf()?;
    command::run("linting the protos with buf", Command::new(buf).arg("lint").current_dir(place::root().join("proto")))
}

fn dependencies() -> Result<()> {
    let program = setup::tools::cargo_deny()?;
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["--all-features"]).args(arguments).current_dir(place::root());
        command::forget_own_package(&mut command);
        command
    };
    command::run(
        "checking bans, licenses and sources with cargo-deny",
        &mut deny(&["check", "--show-stats", "bans", "licenses", "sources"]),
    )?;
    if succeeds_within(ADVISORY_FETCH_LIMIT, &mut deny(&["fetch", "db"]))? {
        command::run("checking advisories with cargo-deny", &mut deny(&["check", "--disable-fetch", "advisories"]))
    } else {
        println!("> advisories skipped: their database cannot be reached from here");
        Ok(())
    }
}

fn clippy(what: &str, packages: &[&str]) -> Result<()> {
    // Test code of the page is checked natively, in the workspace; a wasm test harness is not set up.
    let targets: &[&str] = if packages.contains(&"--bins") { &[] } else { &["--all-targets"] };
    let arguments = [&["clippy"], packages, targets, &["--", "--deny", "warnings"]].concat();
    command::run(&format!("linting {what} with clippy"), &mut command::cargo(arguments))
}

/// Whether `command` ends well in time. One that does not is killed.
fn succeeds_within(limit: Duration, command: &mut Command) -> Result<bool> {
    let start = Instant::now();
    let mut child = match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(error) => bail!("cannot start {}: {error}", command.get_program().display()),
    };
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn command_that_hangs_is_ended_and_counts_as_failed() {
        let start = Instant::now();
        assert!(!succeeds_within(Duration::from_millis(100), Command::new("sleep").arg("600")).unwrap());
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(succeeds_within(Duration::from_secs(60), &mut Command::new("true")).unwrap());
    }
}
