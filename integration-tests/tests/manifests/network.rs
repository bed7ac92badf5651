//! The call graph: what the policies let through is what the settings make the services call, no more and no less.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde_json::Value;

use crate::{
    rendered::{Rendered, list, rendered, root},
    settings,
};

/// From whom, to whom (an app's label or an address range), on which port.
type Edge = (String, String, u64);

/// Apps that a selector finds among `apps`.
fn selected(selector: &Value, apps: &BTreeSet<String>) -> BTreeSet<String> {
    if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        return apps.clone();
    }
    let mut wanted = BTreeSet::new();
    if let Some(app) = selector["matchLabels"]["app.kubernetes.io/name"].as_str() {
        wanted.insert(app.to_owned());
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        assert_eq!((&expression["key"], &expression["operator"]), (&"app.kubernetes.io/name".into(), &"In".into()));
        wanted.extend(list(&expression["values"]).iter().map(|app| app.as_str().unwrap().to_owned()));
    }
    assert!(!wanted.is_empty(), "{selector} is a selector that this test cannot read");
    wanted.intersection(apps).cloned().collect()
}

/// All edges of one direction: `Egress` from the pods that a policy is about, `Ingress` to them.
fn edges(overlay: &Rendered, apps: &BTreeSet<String>, direction: &str) -> BTreeSet<Edge> {
    let (rules, peers) = if direction == "Egress" { ("egress", "to") } else { ("ingress", "from") };
    let mut edges = BTreeSet::new();
    for policy in overlay.of_kind("NetworkPolicy") {
        let about = selected(&policy["spec"]["podSelector"], apps);
        for rule in policy["spec"][rules].as_array().into_iter().flatten() {
            for peer in list(&rule[peers]) {
                let others = match (&peer["ipBlock"]["cidr"], &peer["namespaceSelector"], &peer["podSelector"]) {
                    (Value::String(range), ..) => BTreeSet::from([range.clone()]),
                    (_, Value::Object(_), _) => BTreeSet::from(["another namespace".to_owned()]),
                    (_, _, selector) => selected(selector, apps),
                };
                for port in list(&rule["ports"]) {
                    let port = port["port"].as_u64().unwrap();
                    for (app, other) in about.iter().flat_map(|app| others.iter().map(move |other| (app, other))) {
                        let edge = if direction == "Egress" { (app, other) } else { (other, app) };
                        edges.insert((edge.0.clone(), edge.1.clone(), port));
                    }
                }
            }
        }
    }
    edges
}

fn between(edges: &BTreeSet<Edge>, apps: &BTreeSet<String>) -> BTreeSet<Edge> {
    edges.iter().filter(|(from, to, _)| apps.contains(from) && apps.contains(to)).cloned().collect()
}

/// App to environment, of several overlays that live in one namespace.
fn environments(overlays: &[&Rendered]) -> BTreeMap<String, BTreeMap<String, String>> {
    let of = |overlay: &&Rendered| {
        let workloads = overlay.workloads();
        workloads.into_iter().map(|it| (it.app().to_owned(), overlay.environment(it))).collect::<Vec<_>>()
    };
    overlays.iter().flat_map(of).collect()
}

#[test]
fn policies_let_through_what_the_settings_make_services_call_and_nothing_else() {
    let Some([local, gke, training]) = rendered() else { return };
    for overlays in [vec![&local], vec![&gke, &training]] {
        let environments = environments(&overlays);
        let apps: BTreeSet<String> = environments.keys().cloned().collect();
        let wanted: BTreeSet<Edge> = environments
            .iter()
            .flat_map(|(app, environment)| {
                settings::peers(environment).into_iter().map(|(host, port)| (app.clone(), host, port))
            })
            .filter(|(_, host, _)| apps.contains(host))
            .collect();
        assert!(wanted.len() >= 4, "{wanted:?}");
        let policies = overlays[0];
        for direction in ["Egress", "Ingress"] {
            let allowed = between(&edges(policies, &apps, direction), &apps);
            assert_eq!(allowed, wanted, "{}: {direction}", policies.overlay);
        }
    }
}

#[test]
fn everything_else_is_denied_in_both_directions() {
    let Some([local, gke, _]) = rendered() else { return };
    for overlay in [local, gke] {
        let spec = &overlay.get("NetworkPolicy", "default-deny")["spec"];
        assert_eq!(spec["podSelector"], serde_json::json!({}));
        assert_eq!(list(&spec["policyTypes"]), ["Ingress", "Egress"]);
        assert_eq!((spec.get("ingress"), spec.get("egress")), (None, None));
    }
}

#[test]
fn only_those_who_store_reach_the_bucket_and_only_the_orchestrator_is_reached_from_outside() {
    let Some([_, gke, training]) = rendered() else { return };
    let environments = environments(&[&gke, &training]);
    let apps: BTreeSet<String> = environments.keys().cloned().collect();
    let egress = edges(&gke, &apps, "Egress");
    let reaching = |range: &str, port: u64| -> BTreeSet<String> {
        egress.iter().filter(|(_, to, at)| to == range && *at == port).map(|(from, ..)| from.clone()).collect()
    };
    let stores =
        environments.iter().filter(|(_, it)| it.get("DEEPER_ARTIFACTS").is_some_and(|it| it.starts_with("gs://")));
    let mut stores: BTreeSet<String> = stores.map(|(app, _)| app.clone()).collect();
    assert_eq!(stores.len(), 5);
    assert_eq!(terraform_list("deploy/terraform/identities.tf", "store_users"), stores);
    // It tells Google's own services.
    stores.insert("otel-collector".to_owned());
    for (range, port) in [("199.36.153.8/30", 443), ("169.254.169.252/32", 988), ("169.254.169.254/32", 80)] {
        assert_eq!(reaching(range, port), stores, "{range}");
    }

    let ingress = edges(&gke, &apps, "Ingress");
    let outside: BTreeSet<_> = ingress.iter().filter(|(from, ..)| from.contains('/')).map(|(_, to, _)| to).collect();
    assert_eq!(outside, BTreeSet::from([&"orchestrator".to_owned()]));
}

#[test]
fn the_cache_lies_where_the_orchestrator_may_go() {
    let Some([_, gke, _]) = rendered() else { return };
    let environments = environments(&[&gke]);
    let peers = settings::peers(&environments["orchestrator"]);
    let apps: BTreeSet<String> = environments.keys().cloned().collect();
    let caches: Vec<_> = peers.iter().filter_map(|(host, port)| Some((host.parse::<IpAddr>().ok()?, *port))).collect();
    let [(IpAddr::V4(address), port)] = caches[..] else { panic!("{caches:?}") };
    let ranges = edges(&gke, &apps, "Egress");
    let range = ranges.iter().find(|(from, to, at)| from == "orchestrator" && to.contains('/') && *at == port);
    let (_, range, _) = range.unwrap_or_else(|| panic!("no edge to port {port}"));
    let (base, length) = range.split_once('/').unwrap();
    let mask = u32::MAX << (32 - length.parse::<u32>().unwrap());
    assert_eq!(address.to_bits() & mask, base.parse::<std::net::Ipv4Addr>().unwrap().to_bits(), "{address} in {range}");
    let variables = std::fs::read_to_string(root().join("deploy/terraform/variables.tf")).unwrap();
    assert!(variables.contains(&format!("\"{range}\"")), "cache_range of Terraform is not {range}");
}

/// A list of strings of a Terraform file: `name = ["a", "b"]`.
fn terraform_list(file: &str, name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let line = text.lines().find(|line| line.trim().starts_with(&format!("{name} "))).unwrap();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn gpu_pools_of_terraform_are_those_of_the_compute_class() {
    let Some([_, gke, _]) = rendered() else { return };
    let class = gke.get("ComputeClass", "deeper-gpu");
    let pools = std::fs::read_to_string(root().join("deploy/terraform/node_pools.tf")).unwrap();
    for priority in list(&class["spec"]["priorities"]) {
        let pool = priority["nodepools"][0].as_str().unwrap();
        assert!(pools.lines().any(|line| line.trim().starts_with(&format!("{pool} "))), "Terraform makes no {pool}");
    }
    for workload in gke.workloads() {
        let on_gpu = workload.pod["nodeSelector"]["cloud.google.com/compute-class"] == "deeper-gpu";
        assert_eq!(on_gpu, ["teacher", "vae"].contains(&workload.app()), "{}", workload.app());
        assert_eq!(workload.container["resources"]["limits"]["nvidia.com/gpu"] == "1", on_gpu, "{}", workload.app());
    }
}
