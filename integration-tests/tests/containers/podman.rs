//! The rendered `local` overlay as podman plays it: what it makes of Deployments, and how to be rid of it again.
//!
//! podman has no Services: a pod gets its app's name on a network of the test's own. It publishes every container port
//! on the host: only the orchestrator and Redis keep theirs, on loopback. It knows volumes by their names alone: they are renamed, so
//! that nothing of the user's is touched.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// In front of the name of everything that is made.
const PREFIX: &str = "deeper-test";

/// The played overlay. Dropping it removes everything that it made.
pub(crate) struct Played {
    resources: Vec<Value>,
    files: TempDir,
    /// Where the page and the API are.
    pub(crate) address: SocketAddr,
    /// Where the test looks into Redis.
    pub(crate) cache: SocketAddr,
}

impl Played {
    /// A network and an artifact store that holds what `artifacts` does; no pods yet.
    pub(crate) fn prepare(manifest: &Path, artifacts: &Path, [address, cache]: [SocketAddr; 2]) -> Self {
        let text = fs::read_to_string(manifest).unwrap();
        let resources: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let played = Self { resources, files: TempDir::new().unwrap(), address, cache };
        // What a run that was killed has left.
        played.remove();
        succeed(&mut podman(&["network", "create", PREFIX]));
        succeed(&mut podman(&["volume", "create", &named("artifacts")]));
        let archive = played.files.path().join("artifacts.tar");
        // To the user that the images run as.
        let mut tar = Command::new("tar");
        tar.args(["--owner=65532", "--group=65532", "--create", "--file"]).arg(&archive).arg("--directory");
        succeed(tar.arg(artifacts).arg("."));
        succeed(podman(&["volume", "import", &named("artifacts")]).arg(archive));
        played
    }

    /// Starts the pods of a Deployment, which others then find under its name.
    pub(crate) fn play(&self, app: &str) {
        let mut deployment = self.resource("Deployment", app).clone();
        deployment["metadata"]["name"] = json!(named(app));
        let pod = &mut deployment["spec"]["template"]["spec"];
        for volume in pod["volumes"].as_array_mut().into_iter().flatten() {
            if volume.get("emptyDir").is_some() {
                volume["name"] = json!(named(&format!("{app}-tmp")));
            } else if volume.get("persistentVolumeClaim").is_some() {
                volume["persistentVolumeClaim"]["claimName"] = json!(named("artifacts"));
            }
        }
        let container = &mut pod["containers"][0];
        for mount in container["volumeMounts"].as_array_mut().into_iter().flatten() {
            if mount["name"] == "tmp" {
                mount["name"] = json!(named(&format!("{app}-tmp")));
            }
        }
        let published = match app {
            "orchestrator" => Some(self.address),
            "redis" => Some(self.cache),
            _ => None,
        };
        let inside = container["ports"][0]["containerPort"].clone();
        let publish = |at: SocketAddr| json!({"containerPort": inside, "hostIP": at.ip(), "hostPort": at.port()});
        container["ports"] = published.into_iter().map(publish).collect();
        let maps = self.resources.iter().filter(|resource| resource["kind"] == "ConfigMap");
        let documents = maps.chain([&deployment]).map(|it| format!("---\n{it}\n"));
        let file: PathBuf = self.files.path().join(format!("{app}.yaml"));
        fs::write(&file, documents.collect::<String>()).unwrap();
        succeed(podman(&["kube", "play", "--network", &format!("{PREFIX}:alias={app}")]).arg(file));
    }

    fn resource(&self, kind: &str, name: &str) -> &Value {
        let found = self.resources.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("the overlay has no {kind} {name}"))
    }

    /// What podman says of an app's container, by one of its templates.
    pub(crate) fn inspect(&self, app: &str, template: &str) -> String {
        let output = succeed(&mut podman(&["inspect", "--format", template, &container(app)]));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The end of an app's log.
    pub(crate) fn log(&self, app: &str) -> String {
        let output = podman(&["logs", "--tail", "20", &container(app)]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn remove(&self) {
        let apps: Vec<_> = self.resources.iter().filter(|it| it["kind"] == "Deployment").collect();
        for app in apps.iter().map(|it| it["metadata"]["name"].as_str().unwrap()) {
            podman(&["pod", "rm", "--force", "--time", "2", &format!("{}-pod-0", named(app))]).output().ok();
            podman(&["volume", "rm", "--force", &named(&format!("{app}-tmp"))]).output().ok();
        }
        podman(&["volume", "rm", "--force", &named("artifacts")]).output().ok();
        podman(&["network", "rm", "--force", PREFIX]).output().ok();
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for app in ["orchestrator", "teacher", "vae", "student", "redis"] {
                eprintln!("== {app}\n{}", self.log(app));
            }
        }
        self.remove();
    }
}

fn named(what: &str) -> String {
    format!("{PREFIX}-{what}")
}

/// podman's name for the one container of a Deployment's first pod.
fn container(app: &str) -> String {
    format!("{}-pod-0-{app}", named(app))
}

fn podman(arguments: &[&str]) -> Command {
    let mut podman = Command::new("podman");
    podman.args(arguments).stdin(Stdio::null());
    podman
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
