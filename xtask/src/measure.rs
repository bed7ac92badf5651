//! `cargo xtask measure`: the measurements on the real ResNet-50, too long for `test`. Each asserts its bars.

use crate::{command, place, setup};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::ffi::OsString;

/// Tells the measurement where the artifacts of the running system are.
const ARTIFACTS: &str = "DEEPER_ARTIFACTS";

/// Measure the real system in release mode, print the table and hold it to its bars
#[derive(Args)]
pub(crate) struct Options {
    /// What to measure
    which: Measurement,
    /// Further arguments for the measurement, after `--`
    #[arg(last = true)]
    passed_on: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// Fidelity, stability and controls over misclassified images
    Trust,
    /// Times of an explanation, beside LIME's and PyTorch's where a peer is named
    Performance,
    /// Many clients for minutes or hours: failures, leaks, growth, slowing down; with `-- --faults`, what they notice
    /// while programs of a cluster (`up --cluster`) are killed and stopped
    Soak,
    /// Goodput, refusals and fairness of teachers under more load than they can take, and what so many users get
    Load,
    /// One thread against two, killed and resumed; starts what it needs, `--resnet50` for the real one
    Training,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::for_building()?;
    let mnist = setup::mnist::ensure()?;
    if options.which == Measurement::Training {
        let arguments = ["build", "--release", "--package", "teacher", "--features", "torch", "--bin", "teacher"];
        command::run("building the teacher service", &mut command::cargo(arguments))?;
    }
    let which = options.which.to_possible_value().expect("no measurement is hidden from the command line");
    let arguments = ["run", "--release", "--package", "integration-tests", "--features", "torch", "--bin", "measure"];
    let mut measure = command::cargo(arguments);
    measure.arg("--").arg(which.get_name()).args(&options.passed_on).env("DEEPER_TEST_MNIST_DIR", mnist);
    if options.which == Measurement::Performance && std::env::var_os(ARTIFACTS).is_none() {
        // A peer reads the weights where `up` keeps them.
        measure.env(ARTIFACTS, place::data()?.join("artifacts"));
    }
    command::run(&format!("measuring {}", which.get_name()), &mut measure)
}
