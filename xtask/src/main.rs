//! The project's automation: `cargo xtask --help` lists it. Everything here may be run again at any time;
//! what is in place already is left alone.
#![expect(clippy::print_stdout, reason = "this program's one job is to talk to a terminal")]

mod check;
mod command;
mod fetch;
mod images;
mod manifests;
mod measure;
mod place;
mod setup;
mod steps;
mod test;
mod up;
mod web;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Sets up, runs, checks and tests the project. Every command first installs what it needs and lacks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Up(up::Options),
    Test(test::Options),
    /// Run the checks alone: formatting, clippy, protos, dependencies
    Check,
    /// Build the page into ./dist, each file with its .br and .gz twin, and hold it to its size budget
    Web,
    Fetch(fetch::Options),
    Measure(measure::Options),
    Images(images::Options),
    RenderK8s(manifests::Options),
    /// Run the checks of deploy/ and k8s/ alone; they are part of `check` too
    CheckDeploy,
    /// Look for weak settings under deploy/ and k8s/ with checkov (heavy: not part of `test`)
    AuditDeploy,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Up(options) => up::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Check => check::run(),
        Task::Web => web::run(),
        Task::Fetch(options) => fetch::run(&options),
        Task::Measure(options) => measure::run(&options),
        Task::Images(options) => images::run(&options),
        Task::RenderK8s(options) => manifests::run(&options),
        Task::CheckDeploy => manifests::check(),
        Task::AuditDeploy => manifests::audit(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn up_passes_what_follows_two_dashes_to_the_system() {
        let cli = Cli::try_parse_from(["xtask", "up", "--listen", "0.0.0.0:9000", "--", "--threads", "4"]).unwrap();
        let Task::Up(options) = cli.task else { panic!("parsed as another task") };
        assert_eq!(options.listen.to_string(), "0.0.0.0:9000");
        assert_eq!(options.passed_on, ["--threads", "4"]);
    }
}
