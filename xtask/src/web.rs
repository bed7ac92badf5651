//! `cargo xtask web`: compiles the front end to wasm and puts the whole page into ./dist.
//! What the page loads is held to its size budget; a build that is too large fails.

mod budget;
mod bundle;
mod compress;

use crate::{command, place, setup};
use anyhow::Result;
use std::fs;
use std::path::PathBuf;

pub(crate) fn run() -> Result<()> {
    setup::for_the_page()?;
    build()?;
    Ok(())
}

/// Brings ./dist up to date and answers its path. Quick when nothing changed.
pub(crate) fn build() -> Result<PathBuf> {
    command::run(
        "compiling the page",
        &mut command::cargo([
            "build",
            "--package",
            "frontend",
            "--target",
            setup::WASM_TARGET,
            "--profile",
            "wasm-release",
        ]),
    )?;
    let wasm = place::target().join(setup::WASM_TARGET).join("wasm-release/frontend.wasm");
    let inputs = bundle::Inputs { wasm, statics: vec![place::root().join("frontend/static"), setup::font::ensure()?] };

    // The stamp lies outside of the folder that is served.
    let stamp = place::target().join("page.stamp");
    let fingerprint = inputs.fingerprint()?;
    if place::page().is_dir() && fs::read_to_string(&stamp).is_ok_and(|last| last == fingerprint) {
        println!("> the page is up to date: {}", place::page().display());
        return Ok(place::page());
    }

    println!("> bundling the page");
    let fresh = place::root().join("dist.new");
    fs::remove_dir_all(&fresh).ok();
    bundle::write(&inputs, &fresh)?;
    let sizes = compress::add_twins(&fresh)?;
    budget::report(&sizes);
    budget::hold(&sizes)?;

    // A server that is running sees the old page or the new one, never half of one.
    fs::remove_dir_all(place::page()).ok();
    fs::rename(&fresh, place::page())?;
    fs::write(stamp, fingerprint)?;
    Ok(place::page())
}
