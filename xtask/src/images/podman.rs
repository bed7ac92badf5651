//! podman and buildah, as Debian has them, under the settings of deploy/containers.conf.

use crate::{command, place, setup};
use anyhow::Result;
use std::process::Command;

/// With what `podman` starts containers and gives them names; without recommendations Debian leaves them out.
const PACKAGES: [&str; 7] = ["podman", "buildah", "runc", "netavark", "aardvark-dns", "catatonit", "iptables"];

/// Finds the programs, or installs Debian's.
pub(crate) fn ensure() -> Result<()> {
    if command::on_path("podman") && command::on_path("buildah") && command::on_path("runc") {
        return Ok(());
    }
    setup::apt::install(&PACKAGES, "building and running container images")
}

/// A call of `program` under the project's settings; the machine's own are not touched.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    settings(&mut command);
    command
}

/// Lets `command`, or what it starts, run podman under the project's settings.
pub(crate) fn settings(command: &mut Command) {
    command.env("CONTAINERS_CONF", place::root().join("deploy/containers.conf"));
}
