//! Manifests as kustomize rendered them: read, and asked what the tests want to know of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// One overlay's resources.
pub(crate) struct Rendered {
    pub(crate) overlay: &'static str,
    resources: Vec<Value>,
}

/// A Deployment or a Job, and its one container.
#[derive(Clone, Copy)]
pub(crate) struct Workload<'a> {
    pub(crate) resource: &'a Value,
    pub(crate) pod: &'a Value,
    pub(crate) container: &'a Value,
}

/// The top folder of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Any YAML file of the project.
pub(crate) fn yaml(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `cargo xtask test` rendered. A plain `cargo test` has nothing to compare with.
pub(crate) fn rendered() -> Option<[Rendered; 3]> {
    let folder = std::env::var_os("DEEPER_TEST_MANIFESTS_DIR").map(PathBuf::from)?;
    Some(["local", "gke", "gke-training"].map(|overlay| {
        let resources = yaml(&folder.join(format!("{overlay}.yaml")));
        assert!(resources.len() > 3, "{overlay} has only {} resources", resources.len());
        Rendered { overlay, resources }
    }))
}

impl Rendered {
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.resources.iter().filter(move |resource| resource["kind"] == kind)
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> &Value {
        let found = self.resources.iter().find(|it| it["kind"] == kind && name_of(it) == name);
        found.unwrap_or_else(|| panic!("{} has no {kind} {name}", self.overlay))
    }

    pub(crate) fn workloads(&self) -> Vec<Workload<'_>> {
        let all = self.of_kind("Deployment").chain(self.of_kind("Job"));
        all.map(|resource| {
            let pod = &resource["spec"]["template"]["spec"];
            let containers = list(&pod["containers"]);
            assert_eq!(containers.len(), 1, "{}", name_of(resource));
            Workload { resource, pod, container: &containers[0] }
        })
        .collect()
    }

    /// What a workload's process finds in its environment, values of the pod's own left out.
    pub(crate) fn environment(&self, workload: Workload<'_>) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for source in workload.container["envFrom"].as_array().into_iter().flatten() {
            let map = self.get("ConfigMap", source["configMapRef"]["name"].as_str().unwrap());
            for (name, value) in map["data"].as_object().unwrap() {
                environment.insert(name.clone(), value.as_str().unwrap().to_owned());
            }
        }
        for variable in workload.container["env"].as_array().into_iter().flatten() {
            let value = variable["value"].as_str().unwrap_or_default();
            environment.insert(variable["name"].as_str().unwrap().to_owned(), value.to_owned());
        }
        environment
    }
}

impl Workload<'_> {
    /// `app.kubernetes.io/name` of its pods, by which Services and policies find them.
    pub(crate) fn app(&self) -> &str {
        self.resource["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"].as_str().unwrap()
    }

    /// The program that runs in it, if it is one of ours: `teacher` in `teacher-training` too.
    pub(crate) fn program(&self) -> Option<&str> {
        let name = self.container["name"].as_str().unwrap();
        ["orchestrator", "teacher", "vae", "student"].contains(&name).then_some(name)
    }

    pub(crate) fn container_ports(&self) -> BTreeSet<u64> {
        let ports = self.container["ports"].as_array().into_iter().flatten();
        ports.map(|port| port["containerPort"].as_u64().unwrap()).collect()
    }
}

pub(crate) fn name_of(resource: &Value) -> &str {
    resource["metadata"]["name"].as_str().unwrap()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}
