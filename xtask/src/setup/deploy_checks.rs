//! The checkers of deploy/ and k8s/ that are more than one program: kubernetes-validate and checkov (Python), the
//! schemas of custom resources (npm), promtool (out of Debian's package, without installing its server).

use super::{apt, wheels::python};
use crate::{command, place};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The schemas of Kubernetes up to 1.37 lie inside of it.
const KUBERNETES_VALIDATE: [&str; 10] = [
    "kubernetes-validate==1.37.0",
    "PyYAML==6.0.3",
    "attrs==26.1.0",
    "importlib-resources==7.1.0",
    "jsonschema==4.26.0",
    "jsonschema-specifications==2025.9.1",
    "packaging==26.3",
    "referencing==0.37.0",
    "rpds-py==2026.9.1",
    "typing-extensions==4.16.0",
];

/// Without its dependencies pinned one by one: there are a hundred.
const CHECKOV: &str = "checkov==3.3.30";

/// Versions and digests of the schemas' packages.
const SCHEMAS: [(&str, &str); 2] = [
    ("package.json", include_str!("schemas/package.json")),
    ("package-lock.json", include_str!("schemas/package-lock.json")),
];

/// A call of kubernetes-validate.
pub(crate) fn kubernetes_validate() -> Result<Command> {
    let python = python()?;
    let tag = cache_tag(&python)?;
    let folder = place::install(&format!("kubernetes-validate-1.37.0-{tag}"), |folder| {
        let mut pip = pip(&python);
        pip.args(["--no-deps", "--target"]).arg(folder).args(KUBERNETES_VALIDATE);
        command::run("downloading kubernetes-validate with pip (15 MB)", &mut pip)
    })?;
    let mut validate = Command::new(python);
    validate.args(["-m", "kubernetes_validate"]).env("PYTHONPATH", folder);
    Ok(validate)
}

/// A call of checkov. The first one takes minutes to install.
pub(crate) fn checkov() -> Result<Command> {
    let python = python()?;
    let tag = cache_tag(&python)?;
    let folder = place::install(&format!("checkov-3.3.30-{tag}"), |folder| {
        command::run(
            "downloading checkov with pip (some minutes)",
            pip(&python).arg("--target").arg(folder).arg(CHECKOV),
        )
    })?;
    let mut checkov = Command::new(python);
    checkov.args(["-m", "checkov.main"]).env("PYTHONPATH", folder);
    Ok(checkov)
}

/// The folder of the schemas' packages, for node.
pub(crate) fn schemas() -> Result<PathBuf> {
    if !command::on_path("npm") || !command::on_path("node") {
        apt::install(&["nodejs", "npm"], "checking custom resources")?;
    }
    place::install("kubernetes-models-gke-4.6.2", |folder| {
        for (name, text) in SCHEMAS {
            fs::write(folder.join(name), text)?;
        }
        command::run(
            "downloading the schemas of custom resources with npm (12 MB)",
            Command::new("npm")
                .args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(folder),
        )
    })
}

/// The path of `promtool`. Debian's package would start a Prometheus; only the one program is taken out of it.
pub(crate) fn promtool() -> Result<PathBuf> {
    match command::find("promtool") {
        Some(path) => Ok(path),
        None => apt::program(&["prometheus"], "usr/bin/promtool", "checking the alerts"),
    }
}

fn pip(python: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]);
    pip.args(["--only-binary=:all:", "--root-user-action=ignore"]);
    pip
}

/// Some of the packages are compiled code: each version of Python has its own.
fn cache_tag(python: &str) -> Result<String> {
    let asked = Command::new(python).args(["-c", "import sys; print(sys.implementation.cache_tag)"]).output();
    let tag = String::from_utf8(asked.with_context(|| format!("cannot start {python}"))?.stdout)?;
    Ok(tag.trim().to_owned())
}
