//! `cargo xtask test`: everything that has to hold before a change is good, from a bare machine to the browser.

use crate::check::{self, NATIVE};
use crate::steps::Steps;
use crate::{command, images, manifests, place, setup, web};
use anyhow::Result;
use clap::Args;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Run every check and every test: unit, property, integration and browser
#[derive(Args)]
pub(crate) struct Options {
    /// Build the container images and test those instead: podman plays the rendered local overlay
    #[arg(long)]
    containers: bool,
    /// cargo's profile of the programs in the images
    #[arg(long, default_value = "release", requires = "containers")]
    profile: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.containers { containers(&options.profile) } else { everything() }
}

/// The images, and the test that runs them. The rest of the system is built as well: it trains the small models.
fn containers(profile: &str) -> Result<()> {
    setup::for_building()?;
    let mnist = setup::mnist::ensure()?;
    images::build_all(profile)?;
    manifests::render_to_file(manifests::Overlay::Local)?;
    let cargo = |arguments: &[&str]| {
        let mut cargo = command::cargo([arguments, NATIVE.as_slice()].concat());
        cargo.env("DEEPER_TEST_MNIST_DIR", &mnist).env("OMP_NUM_THREADS", "1");
        cargo
    };
    command::run("building the test and what it needs", &mut cargo(&["build", "--bins", "--test", "containers"]))?;
    let mut test = cargo(&["test", "--test", "containers"]);
    test.env("DEEPER_TEST_CONTAINERS", manifests::folder());
    images::podman::settings(&mut test);
    command::run("testing the containers", &mut test)
}

/// The tests come last, so that what cargo says of them ends the output.
fn everything() -> Result<()> {
    let mut steps = Steps::default();
    let ready = steps.need("setup", || {
        setup::for_building()?;
        // Tests with a shared cache start a server of their own.
        setup::redis::ensure()?;
        Ok(Ready {
            mnist: setup::mnist::ensure()?.into(),
            nginx: setup::nginx::ensure()?.into(),
            browser: setup::browser::ensure()?,
            grpcio: setup::grpcio::ensure()?.into(),
        })
    })?;
    check::take_all(&mut steps);
    let page = steps.need("the page", web::build)?;
    let cargo = |arguments: &[&str]| {
        let mut cargo = command::cargo(arguments);
        ready.tell(&mut cargo, &page);
        cargo
    };
    steps.take("tests of xtask", || {
        command::run("testing xtask", &mut cargo(&["test", "--quiet", "--package", "xtask"]))
    });
    steps.need("building", || {
        // The programs as well, because some tests start them as processes; `cargo build --bins` would compile much
        // anew, as the tests' own dependencies turn on features that it would leave off.
        let everything = [&["build", "--all-targets"], NATIVE.as_slice()].concat();
        command::run("building all programs and tests", &mut cargo(&everything))
    })?;
    steps.summarize();
    steps.take("tests", || {
        command::run("testing", &mut cargo(&[&["test", "--no-fail-fast"], NATIVE.as_slice()].concat()))
    });
    steps.verdict()
}

/// What the tests are told of the machine.
struct Ready {
    mnist: OsString,
    nginx: OsString,
    browser: setup::browser::Browser,
    grpcio: OsString,
}

impl Ready {
    /// Puts it into the environment of `cargo`; the same for building and running, so that nothing is built twice.
    fn tell(&self, cargo: &mut Command, page: &Path) {
        cargo.env("DEEPER_TEST_PAGE_DIR", page);
        cargo.env("DEEPER_TEST_MNIST_DIR", &self.mnist);
        cargo.env("DEEPER_TEST_NGINX", &self.nginx);
        // Rendered by the checks, which come before the tests.
        cargo.env("DEEPER_TEST_MANIFESTS_DIR", manifests::folder());
        cargo.env("DEEPER_TEST_GRPCIO_DIR", &self.grpcio);
        cargo.env("CHROMIUM", &self.browser.chromium).env("CHROMEDRIVER", &self.browser.chromedriver);
        // Several torch threads beside a compiler or another test cost several times the CPU time.
        cargo.env("OMP_NUM_THREADS", "1");
        // Doctests are linked in a scratch folder without our rpath.
        cargo.env("LD_LIBRARY_PATH", libraries());
    }
}

/// libtorch's libraries in front of what the user's environment has.
fn libraries() -> OsString {
    let libtorch = place::libtorch_of_ones_own().unwrap_or_else(|| place::root().join("libtorch")).join("lib");
    let before = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::iter::once(libtorch).chain(std::env::split_paths(&before));
    std::env::join_paths(folders.filter(|folder| !folder.as_os_str().is_empty()))
        .expect("paths that came out of a path list go into one")
}
