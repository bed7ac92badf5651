//! Runs other programs and says so: a `> what` line before, the time taken after, the command line when it fails.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Shorter steps end without a line of their own.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// Runs `command` with its output shown. `what` reads as "building the page".
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    println!("> {what}");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("cannot start: {}", line(command)))?;
    if !status.success() {
        bail!("{what} failed ({status}): {}", line(command));
    }
    if start.elapsed() >= WORTH_TELLING {
        println!("  done in {:.0} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Whether `command` can be started and succeeds; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
}

/// Whether `program` is found on PATH.
pub(crate) fn on_path(program: &str) -> bool {
    find(program).is_some()
}

/// Where `program` is found on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Cargo as the user would call it from a shell. `cargo run` gave this process variables of its own package;
/// passed on, they would make build scripts run again each time the way of calling changes.
pub(crate) fn cargo<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(super::place::root());
    forget_own_package(&mut command);
    command
}

/// Takes back from `command` what `cargo run` and `.cargo/config.toml` added to the environment.
pub(crate) fn forget_own_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    if super::place::libtorch_of_ones_own().is_none() {
        command.env_remove("LIBTORCH");
    }
}

/// The command as one would type it, for messages.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_step_and_the_command() {
        let error = run("asking for the impossible", Command::new("false").arg("--really")).unwrap_err().to_string();
        assert!(error.contains("asking for the impossible") && error.contains("false --really"), "{error}");
    }

    #[test]
    fn missing_program_is_an_error_and_not_a_panic() {
        assert!(run("x", &mut Command::new("no-such-program-anywhere")).is_err());
        assert!(!succeeds(&mut Command::new("no-such-program-anywhere")));
        assert!(!on_path("no-such-program-anywhere"));
    }
}
