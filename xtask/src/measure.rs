//! `cargo xtask measure`: the measurements on the real ResNet-50, too long for `test`. Each asserts its bars.

use crate::{command, setup};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::ffi::OsString;

/// Measure the real system in release mode, print the table and hold it to its bars
#[derive(Args)]
pub(crate) struct Options {
    /// What to measure
    which: Measurement,
    /// Further arguments for the measurement, after `--`
    #[arg(last = true)]
    passed_on: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Measurement {
    /// Fidelity, stability and controls over misclassified images
    Trust,
    /// Times, throughput and memory of an explanation
    Performance,
    /// Hours of use: leaks, growth, latency drift
    Soak,
    /// Goodput, refusals and fairness of teachers under more load than they can take
    Load,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::for_building()?;
    let mnist = setup::mnist::ensure()?;
    let which = options.which.to_possible_value().expect("no measurement is hidden from the command line");
    let arguments = ["run", "--release", "--package", "integration-tests", "--features", "torch", "--bin", "measure"];
    let mut measure = command::cargo(arguments);
    measure.arg("--").arg(which.get_name()).args(&options.passed_on).env("DEEPER_TEST_MNIST_DIR", mnist);
    command::run(&format!("measuring {}", which.get_name()), &mut measure)
}
