//! The project's automation: `cargo xtask --help` lists it. Everything here may be run again at any time;
//! what is in place already is left alone.
#![expect(clippy::print_stdout, reason = "this program's one job is to talk to a terminal")]

mod check;
mod command;
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
    /// Run every check and every test: unit, property, integration and browser
    Test,
    /// Run the checks alone: formatting, clippy, protos, dependencies
    Check,
    /// Build the page into ./dist, each file with its .br and .gz twin, and hold it to its size budget
    Web,
    /// Fetch MNIST into the user's cache and check it
    Fetch,
    Measure(measure::Options),
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
        Task::Test => test::run(),
        Task::Check => check::run(),
        Task::Web => web::run(),
        Task::Fetch => setup::mnist::ensure().map(|folder| println!("MNIST is in {}", folder.display())),
        Task::Measure(options) => measure::run(&options),
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
