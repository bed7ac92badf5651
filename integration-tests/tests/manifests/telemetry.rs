//! Alerts, dashboards and autoscalers look only at metrics that the code emits.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use integration_tests::listed::Listed;
use serde_json::Value;

use crate::rendered::{list, name_of, rendered, root, yaml};

/// Prefixes of our metrics as Prometheus has them.
const OURS: [&str; 2] = ["deeper_", "rpc_"];

/// The metrics of ours in an expression.
fn metrics_of(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| OURS.iter().any(|prefix| word.starts_with(prefix))).map(str::to_owned).collect()
}

/// What is listed is what the code emits: `--test telemetry` holds them together.
fn assert_emitted(place: &str, expression: &str) {
    let listed = Listed::read();
    let (known, labels) = (listed.in_prometheus(), listed.labels());
    for metric in metrics_of(expression).into_iter().filter(|word| !labels.contains(word)) {
        assert!(known.contains(&metric), "{place} looks at {metric}, which the code does not emit");
    }
}

fn alerts() -> Value {
    yaml(&root().join("deploy/prometheus/alerts.yml")).remove(0)
}

#[test]
fn alerts_look_at_metrics_that_exist_and_are_explained() {
    let alerts = alerts();
    let operations = fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap();
    for rule in alerts["groups"].as_array().unwrap().iter().flat_map(|group| list(&group["rules"])) {
        let name = rule["alert"].as_str().unwrap();
        let expression = rule["expr"].as_str().unwrap();
        assert!(!metrics_of(expression).is_empty(), "{name}");
        assert_emitted(name, expression);
        assert!(operations.contains(&format!("`{name}`")), "docs/OPERATIONS.md does not say what to do about {name}");
    }
}

#[test]
fn managed_prometheus_has_the_same_alerts() {
    let Some([_, gke, _]) = rendered() else { return };
    assert_eq!(gke.get("Rules", "deeper")["spec"]["groups"], alerts()["groups"]);
}

#[test]
fn dashboards_look_at_metrics_that_exist() {
    let folder = root().join("deploy/grafana/dashboards");
    let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let dashboard: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets: Vec<_> = panels.iter().flat_map(|it| it["targets"].as_array().into_iter().flatten()).collect();
        assert!(targets.len() >= 8, "{}: {} queries", file.display(), targets.len());
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            assert!(!metrics_of(expression).is_empty(), "{expression}");
            assert_emitted(&file.display().to_string(), expression);
        }
    }
}

#[test]
fn autoscalers_look_at_metrics_that_exist() {
    let Some([_, gke, _]) = rendered() else { return };
    let mut by_queue = BTreeSet::new();
    for scaler in gke.of_kind("HorizontalPodAutoscaler") {
        for metric in list(&scaler["spec"]["metrics"]) {
            let Some(name) = metric["external"]["metric"]["name"].as_str() else { continue };
            assert_emitted(name_of(scaler), name);
            let of_service = &metric["external"]["metric"]["selector"]["matchLabels"]["metric.labels.service_name"];
            assert_eq!(of_service, name_of(scaler));
            by_queue.insert(name_of(scaler));
        }
    }
    assert_eq!(by_queue, BTreeSet::from(["teacher", "vae"]));
}

#[test]
fn the_collectors_of_compose_and_cluster_tell_prometheus_the_same() {
    let read = |path: &str| yaml(&root().join(Path::new(path))).remove(0);
    let base = read("deploy/otel-collector.yaml");
    let folder = "k8s/components/otel-collector";
    for other in ["config.yaml", "google-cloud/config.yaml"].map(|file| read(&format!("{folder}/{file}"))) {
        for part in ["receivers", "processors"] {
            assert_eq!(other[part], base[part]);
        }
        assert_eq!(other["exporters"]["prometheus"], base["exporters"]["prometheus"]);
        assert_eq!(other["service"]["pipelines"]["metrics"], base["service"]["pipelines"]["metrics"]);
    }
}
