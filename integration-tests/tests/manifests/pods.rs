//! Pods: probes that ask for services that exist, an end that fits a Spot node, and no more rights than needed.

use std::{collections::BTreeSet, time::Duration};

use crate::rendered::{Workload, list, name_of, rendered};

/// What a Spot node leaves to its pods.
const SPOT_GRACE: Duration = Duration::from_secs(15);
/// The drain's own second for statuses, and what the collector may take (`runtime::telemetry`).
const AFTER_DRAIN: Duration = Duration::from_secs(3);

/// The gRPC services that a program serves, by the packages of the proto files, and those of every server of ours.
pub(crate) fn services_of(program: &str) -> BTreeSet<String> {
    let everywhere = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
    let own: &[&str] = match program {
        "orchestrator" => &[
            "deeper.catalog.v1.CatalogService",
            "deeper.explanation.v1.ExplanationService",
            "google.longrunning.Operations",
        ],
        "teacher" => &["deeper.teacher.v1.TeacherService"],
        "vae" => &["deeper.vae.v1.VaeService"],
        "student" => &["deeper.student.v1.StudentService"],
        other => panic!("{other} is none of ours"),
    };
    let described = described_services();
    for name in own {
        assert!(described.contains(*name), "no proto file has {name}");
    }
    everywhere.iter().chain(own).map(|name| (*name).to_owned()).collect()
}

fn described_services() -> BTreeSet<String> {
    use prost::Message;
    let files = prost_types::FileDescriptorSet::decode(proto::raw::DESCRIPTORS).unwrap().file;
    let of_file = |file: &prost_types::FileDescriptorProto| {
        let package = file.package().to_owned();
        file.service.iter().map(move |service| format!("{package}.{}", service.name())).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

fn our_deployments(check: impl Fn(&str, Workload<'_>)) {
    let Some(overlays) = rendered() else { return };
    for overlay in &overlays[..2] {
        let ours: Vec<_> = overlay.workloads().into_iter().filter(|it| it.program().is_some()).collect();
        assert_eq!(ours.len(), 4, "{}", overlay.overlay);
        ours.into_iter().for_each(|workload| check(overlay.overlay, workload));
    }
}

#[test]
fn probes_ask_for_the_service_that_the_program_serves() {
    our_deployments(|overlay, workload| {
        let program = workload.program().unwrap();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let grpc = &workload.container[probe]["grpc"];
            assert_eq!(grpc["port"], workload.container["ports"][0]["containerPort"], "{overlay}: {program} {probe}");
            if probe == "livenessProbe" {
                // The process alone: a missing model is not cured by a restart.
                assert_eq!(grpc.get("service"), None, "{overlay}: {program}");
                continue;
            }
            let service = grpc["service"].as_str().unwrap();
            assert!(services_of(program).contains(service), "{overlay}: {program} does not serve {service}");
            assert!(service.starts_with("deeper."), "{overlay}: {program} is asked for {service}");
        }
    });
}

#[test]
fn a_pod_ends_within_what_a_spot_node_leaves() {
    our_deployments(|overlay, workload| {
        let program = workload.program().unwrap();
        let grace = Duration::from_secs(workload.pod["terminationGracePeriodSeconds"].as_u64().unwrap());
        let pause = workload.container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        let needed = Duration::from_secs(pause) + runtime::server::DRAIN + AFTER_DRAIN;
        assert!(grace <= SPOT_GRACE, "{overlay}: {program} wants {grace:?}");
        assert!(needed <= grace, "{overlay}: {program} needs {needed:?} of {grace:?}");
    });
}

#[test]
fn pods_have_no_more_rights_than_the_strictest_level_allows() {
    let Some(overlays) = rendered() else { return };
    for overlay in &overlays {
        for workload in overlay.workloads() {
            let what = format!("{}: {}", overlay.overlay, workload.app());
            let (pod, container) = (&workload.pod["securityContext"], &workload.container["securityContext"]);
            assert_eq!(pod["runAsNonRoot"], true, "{what}");
            assert!(pod["runAsUser"].as_u64().unwrap() > 0, "{what}");
            assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault", "{what}");
            assert_eq!(container["allowPrivilegeEscalation"], false, "{what}");
            assert_eq!(container["readOnlyRootFilesystem"], true, "{what}");
            assert_eq!(list(&container["capabilities"]["drop"]), ["ALL"], "{what}");
            assert_eq!(container["capabilities"].get("add"), None, "{what}");
            for shared in ["hostNetwork", "hostPID", "hostIPC"] {
                assert_eq!(workload.pod.get(shared), None, "{what}");
            }
            let allowed = ["configMap", "emptyDir", "persistentVolumeClaim", "secret"];
            for volume in workload.pod["volumes"].as_array().into_iter().flatten() {
                assert!(allowed.iter().any(|kind| volume.get(kind).is_some()), "{what}: {volume}");
            }
            // Its own identity, and no key to the cluster.
            assert_eq!(workload.pod["automountServiceAccountToken"], false, "{what}");
            let account = workload.pod["serviceAccountName"].as_str().unwrap();
            assert_eq!((account, name_of(overlay.get("ServiceAccount", account))), (workload.app(), account), "{what}");
            for kind in ["cpu", "memory", "ephemeral-storage"] {
                assert!(container_resource(workload, "requests", kind) && container_resource(workload, "limits", kind));
            }
        }
    }
}

fn container_resource(workload: Workload<'_>, side: &str, kind: &str) -> bool {
    let there = workload.container["resources"][side][kind].is_string();
    assert!(there, "{} has no {side} of {kind}", workload.app());
    there
}

#[test]
fn threads_are_the_cpus_that_a_pod_is_promised() {
    let Some(overlays) = rendered() else { return };
    for overlay in &overlays {
        for workload in overlay.workloads() {
            let environment = overlay.environment(workload);
            let Some(threads) = environment.get("DEEPER_THREADS") else { continue };
            // Answers depend on the number in the last bit, so that all replicas must have the same.
            for side in ["requests", "limits"] {
                let what = format!("{}: {} {side}", overlay.overlay, workload.app());
                assert_eq!(workload.container["resources"][side]["cpu"], threads.as_str(), "{what}");
            }
        }
    }
}

#[test]
fn a_disruption_takes_one_replica_at_a_time_and_a_rollout_none() {
    let Some(overlays) = rendered() else { return };
    let gke = &overlays[1];
    for program in ["orchestrator", "teacher", "vae", "student"] {
        let budget = &gke.get("PodDisruptionBudget", program)["spec"];
        assert_eq!(budget["maxUnavailable"], 1, "{program}");
        assert_eq!(budget["selector"]["matchLabels"]["app.kubernetes.io/name"], program);
        let deployment = &gke.get("Deployment", program)["spec"];
        assert_eq!(deployment["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "{program}");
        let scaler = &gke.get("HorizontalPodAutoscaler", program)["spec"];
        assert_eq!(scaler["scaleTargetRef"]["name"], program);
        assert!(scaler["minReplicas"].as_u64().unwrap() >= 2, "{program}");
        // Whoever applies the manifests again does not undo what the scaler did.
        assert_eq!(deployment.get("replicas"), None, "{program}");
    }
}

#[test]
fn jobs_are_told_what_their_programs_read() {
    let Some([_, _, training]) = rendered() else { return };
    let folder = tempfile::tempdir().unwrap();
    let jobs = training.workloads();
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let program = job.program().unwrap();
        let arguments: Vec<_> = list(&job.container["args"]).iter().map(|it| it.as_str().unwrap()).collect();
        let [task, flag, path] = arguments[..] else { panic!("{arguments:?}") };
        let words = [program, task, flag, path];
        crate::settings::command(program).try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}"));

        let mount = &list(&job.container["volumeMounts"])[1];
        let name = path.strip_prefix(mount["mountPath"].as_str().unwrap()).unwrap().trim_start_matches('/');
        let volume = list(&job.pod["volumes"]).iter().find(|it| it["name"] == mount["name"]).unwrap();
        let map = training.get("ConfigMap", volume["configMap"]["name"].as_str().unwrap());
        let file = folder.path().join(name);
        std::fs::write(&file, map["data"][name].as_str().unwrap()).unwrap();
        let read = match program {
            "teacher" => teacher::job::TeacherJob::read(&file).map(|job| job.name.to_string()),
            _ => vae::job::AutoencoderJob::read(&file).map(|job| job.name.to_string()),
        };
        assert!(read.unwrap().ends_with(if program == "teacher" { "/resnet50-mnist" } else { "/vae-10" }));

        // What the program says with its end is what the Job understands.
        let rules = list(&job.resource["spec"]["podFailurePolicy"]["rules"]);
        let on = |code: u64| {
            let of_code = |rule: &&serde_json::Value| {
                rule["onExitCodes"]["values"].as_array().is_some_and(|codes| codes.iter().any(|it| *it == code))
            };
            rules.iter().find(of_code).map(|rule| rule["action"].as_str().unwrap())
        };
        assert_eq!(on(runtime::job::STOPPED.into()), Some("Ignore"), "{program}");
        assert_eq!((on(1), on(2)), (Some("FailJob"), Some("FailJob")), "{program}");
    }
}
