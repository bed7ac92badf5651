//! Everything under k8s/ and deploy/ that can be checked without a cluster: rendered by kustomize, held against schemas,
//! the Dockerfile and the alerts linted, Terraform's formatting. And `render-k8s`, which prints what `apply` would get.

use crate::steps::Steps;
use crate::{command, place, setup};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Kubernetes that manifests are held against: the oldest that has all they use (preStop sleep).
const KUBERNETES: &str = "1.34";

/// Render the manifests of an overlay with kustomize into ./target/manifests, for `kubectl apply --filename`
#[derive(Args)]
pub(crate) struct Options {
    /// Which overlay; all when none is named
    #[arg(value_enum)]
    overlay: Option<Overlay>,
}

/// What is rendered: a folder of k8s/overlays.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Overlay {
    /// One machine: podman, or a small cluster of one's own
    Local,
    /// Google Kubernetes Engine
    Gke,
    /// The training Jobs on GKE
    GkeTraining,
}

impl Overlay {
    const ALL: [Self; 3] = [Self::Local, Self::Gke, Self::GkeTraining];

    fn folder(self) -> &'static str {
        match self {
            Self::Local => "k8s/overlays/local",
            Self::Gke => "k8s/overlays/gke",
            Self::GkeTraining => "k8s/overlays/gke/training",
        }
    }

    fn file_name(self) -> String {
        let value = self.to_possible_value().expect("no overlay is hidden from the command line");
        format!("{}.yaml", value.get_name())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let overlays = options.overlay.map_or(Overlay::ALL.to_vec(), |overlay| vec![overlay]);
    for overlay in overlays {
        println!("> rendered {} into {}", overlay.folder(), render_to_file(overlay)?.display());
    }
    Ok(())
}

/// The checks of `take_all` by themselves.
pub(crate) fn check() -> Result<()> {
    let mut steps = Steps::default();
    take_all(&mut steps);
    steps.summarize();
    steps.verdict()
}

/// What `kubectl apply` would get.
fn render(overlay: Overlay) -> Result<String> {
    let folder = place::root().join(overlay.folder());
    let output = Command::new(setup::tools::kubectl()?).arg("kustomize").arg(&folder).output()?;
    ensure!(output.status.success(), "kustomize: {}", String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8(output.stdout).context("kustomize wrote no UTF-8")
}

pub(crate) fn render_to_file(overlay: Overlay) -> Result<PathBuf> {
    let folder = folder();
    fs::create_dir_all(&folder)?;
    let file = folder.join(overlay.file_name());
    fs::write(&file, render(overlay)?)?;
    Ok(file)
}

/// Where rendered manifests are; the test that compares them with the code is told.
pub(crate) fn folder() -> PathBuf {
    place::target().join("manifests")
}

fn render_all() -> Result<Vec<PathBuf>> {
    Overlay::ALL.into_iter().map(render_to_file).collect()
}

/// Takes every check of deploy/ and k8s/.
pub(crate) fn take_all(steps: &mut Steps) {
    steps.take("manifests", manifests);
    steps.take("Dockerfile", dockerfile);
    steps.take("alerts", alerts);
    steps.take("Terraform", terraform);
}

fn manifests() -> Result<()> {
    let files = render_all()?;
    // It stops at a resource's first mistake, and warns of kinds that the next checker knows.
    let mut validate = setup::deploy_checks::kubernetes_validate()?;
    validate.args(["--strict", "--quiet", "--no-warn", "-k", KUBERNETES]).args(&files);
    command::run("checking the manifests with kubernetes-validate", &mut validate)?;
    let mut node = Command::new("node");
    node.arg(place::root().join("xtask/src/manifests/custom_resources.mjs")).arg(setup::deploy_checks::schemas()?);
    command::run("checking the custom resources against their schemas", node.args(&files))
}

fn dockerfile() -> Result<()> {
    let mut hadolint = Command::new(setup::tools::hadolint()?);
    command::run("linting the Dockerfile with hadolint", hadolint.arg(place::root().join("deploy/Dockerfile")))
}

fn alerts() -> Result<()> {
    let promtool = setup::deploy_checks::promtool()?;
    let folder = place::root().join("deploy/prometheus");
    let promtool = |arguments: &[&str]| {
        let mut command = Command::new(&promtool);
        command.args(arguments).current_dir(&folder);
        command
    };
    command::run("checking Prometheus' settings with promtool", &mut promtool(&["check", "config", "prometheus.yml"]))?;
    command::run("testing the alerts with promtool", &mut promtool(&["test", "rules", "alerts_test.yml"]))
}

/// There is no Terraform in Debian, PyPI or npm: who has one gets its check. Providers cannot be had offline, so that
/// `validate` is a step of the installation (docs/OPERATIONS.md).
fn terraform() -> Result<()> {
    let Some(terraform) = command::find("terraform") else {
        println!("> Terraform's formatting skipped: there is no terraform on PATH");
        return Ok(());
    };
    format_check(&terraform, &place::root().join("deploy/terraform"))
}

fn format_check(terraform: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new(terraform);
    command.args(["fmt", "-check", "-recursive", "-diff"]).current_dir(folder);
    command::run("checking Terraform's formatting", &mut command)
}

/// Checks that look for weak settings; heavy, and with opinions. `deploy/checkov.yaml` says which do not hold here.
pub(crate) fn audit() -> Result<()> {
    render_all()?;
    let mut checkov = setup::deploy_checks::checkov()?;
    checkov.current_dir(place::root()).args(["--config-file", "deploy/checkov.yaml", "--directory", "deploy"]);
    command::run("auditing deploy/ with checkov", &mut checkov)?;
    let mut checkov = setup::deploy_checks::checkov()?;
    checkov.current_dir(place::root()).args(["--config-file", "deploy/checkov.yaml", "--directory"]).arg(folder());
    command::run("auditing the rendered manifests with checkov", &mut checkov)
}
