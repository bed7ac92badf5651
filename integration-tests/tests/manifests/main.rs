//! The manifests and the code are of one mind: every port, probe, variable, name and edge of the network that one of
//! them names exists in the other, and the other way round.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

mod network;
mod pods;
mod rendered;
mod settings;
mod telemetry;

use std::collections::BTreeSet;

use rendered::{list, name_of, rendered};

#[test]
fn every_variable_is_a_setting_and_every_setting_is_named() {
    let Some(overlays) = rendered() else { return };
    let mut wrong = Vec::new();
    for program in ["orchestrator", "teacher", "vae", "student"] {
        let known = settings::variables(program);
        let mut named = BTreeSet::new();
        for overlay in &overlays {
            for workload in overlay.workloads().into_iter().filter(|it| it.program() == Some(program)) {
                named.extend(overlay.environment(workload).into_keys());
            }
        }
        let of_no_config = |name: &str| name == "POD_NAME" || settings::OF_TELEMETRY.contains(&name);
        let unknown = named.iter().filter(|name| !known.contains_key(*name) && !of_no_config(name));
        wrong.extend(unknown.map(|name| format!("{program} knows no {name}")));

        let left = settings::LEFT_ALONE.iter().filter(|(of, ..)| *of == program).map(|(_, name, _)| *name);
        let left: BTreeSet<_> = left.collect();
        let gone = left.iter().filter(|name| !known.contains_key(**name) || named.contains(**name));
        wrong.extend(gone.map(|name| format!("{name} of {program} is gone or named: take it from LEFT_ALONE")));
        let forgotten = known.keys().filter(|name| !named.contains(*name) && !left.contains(name.as_str()));
        wrong.extend(forgotten.map(|name| format!("k8s/base/{program}.env lacks {name}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_value_is_one_that_the_program_takes() {
    let Some(overlays) = rendered() else { return };
    for overlay in &overlays {
        for workload in overlay.workloads() {
            let Some(program) = workload.program() else { continue };
            let wrong = settings::mistakes(program, &overlay.environment(workload));
            assert_eq!(wrong, None, "{}: {}", overlay.overlay, workload.app());
        }
    }
}

#[test]
fn compose_sets_what_the_programs_know() {
    let compose = &rendered::yaml(&rendered::root().join("deploy/compose.yaml"))[0];
    for program in ["orchestrator", "teacher", "vae", "student"] {
        let known = settings::variables(program);
        let environment = compose["services"][program]["environment"].as_object().unwrap();
        let values = environment.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        let values: std::collections::BTreeMap<_, _> = values.collect();
        for name in values.keys() {
            let of_telemetry = settings::OF_TELEMETRY.contains(&name.as_str());
            assert!(of_telemetry || known.contains_key(name), "{program} knows no {name}");
        }
        assert_eq!(settings::mistakes(program, &values), None, "{program}");
        for (host, _) in settings::peers(&values) {
            assert!(compose["services"][&host].is_object(), "{program} calls {host}, which compose.yaml lacks");
        }
    }
}

#[test]
fn a_port_is_the_same_wherever_it_is_named() {
    let Some(overlays) = rendered() else { return };
    for overlay in &overlays[..2] {
        for workload in overlay.workloads() {
            let Some(program) = workload.program() else { continue };
            let listen = overlay.environment(workload)["DEEPER_LISTEN"].clone();
            let port: u64 = listen.strip_prefix("0.0.0.0:").unwrap().parse().unwrap();
            assert_eq!(workload.container_ports(), BTreeSet::from([port]), "{program}");

            let service = overlay.get("Service", program);
            assert_eq!(service["spec"]["selector"]["app.kubernetes.io/name"], workload.app());
            let ports = list(&service["spec"]["ports"]);
            assert_eq!((ports.len(), ports[0]["port"].as_u64()), (1, Some(port)), "{program}");
            assert_eq!(ports[0]["targetPort"], workload.container["ports"][0]["name"], "{program}");
            // A balanced name answers with pods, not with one virtual address.
            let is_called_by_us = program != "orchestrator";
            assert_eq!(service["spec"]["clusterIP"] == "None", is_called_by_us, "{program}");
        }
        for workload in overlay.workloads() {
            for (host, port) in settings::peers(&overlay.environment(workload)) {
                if host.parse::<std::net::IpAddr>().is_ok() {
                    continue;
                }
                let ports = list(&overlay.get("Service", &host)["spec"]["ports"]);
                assert!(ports.iter().any(|it| it["port"] == port), "{}: {host}:{port}", workload.app());
            }
        }
    }
}

#[test]
fn routes_lead_to_the_orchestrators_port_and_let_only_public_services_through() {
    let Some([_, gke, _]) = rendered() else { return };
    let served = pods::services_of("orchestrator");
    for kind in ["HTTPRoute", "GRPCRoute"] {
        for route in gke.of_kind(kind) {
            assert_eq!(route["spec"]["hostnames"], gke.get("HTTPRoute", "page")["spec"]["hostnames"], "{kind}");
            for rule in list(&route["spec"]["rules"]) {
                let backend = &rule["backendRefs"][0];
                let service = gke.get("Service", backend["name"].as_str().unwrap());
                assert_eq!(name_of(service), "orchestrator");
                assert_eq!(service["spec"]["ports"][0]["port"], backend["port"]);
            }
        }
    }
    let rule = &gke.get("GRPCRoute", "api")["spec"]["rules"][0];
    let routed: BTreeSet<_> =
        list(&rule["matches"]).iter().map(|it| it["method"]["service"].as_str().unwrap().to_owned()).collect();
    assert_eq!(routed, served);
    let check = &gke.get("HealthCheckPolicy", "orchestrator")["spec"]["default"]["config"]["grpcHealthCheck"];
    assert!(served.contains(check["grpcServiceName"].as_str().unwrap()));
    assert_eq!(check["port"], gke.get("Service", "orchestrator")["spec"]["ports"][0]["port"]);
}
