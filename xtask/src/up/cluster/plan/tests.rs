use super::*;
use crate::place;
use std::fs;
use std::path::Path;

fn planned(listen: &str) -> Vec<Program> {
    let ports: Vec<u16> = (9_001..).take(INNER_COUNT).collect();
    programs(&Parts::for_testing(Path::new("/data"), listen), &ports, 1)
}

fn named<'a>(programs: &'a [Program], name: &str) -> &'a Program {
    programs.iter().find(|program| program.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn line(program: &Program) -> String {
    program.arguments.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_cluster_has_three_teachers_and_two_of_every_other_service() {
    let programs = planned("127.0.0.1:8080");
    let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
    let inner = ["redis", "teacher-1", "teacher-2", "teacher-3", "vae-1", "vae-2", "student-1", "student-2"];
    assert_eq!(names, [&inner[..], &["orchestrator-1", "orchestrator-2", "nginx"]].concat());
    let mut addresses: Vec<SocketAddr> = programs.iter().map(|program| program.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), programs.len(), "each has an address of its own");
}

#[test]
fn orchestrators_are_told_of_everybody_and_are_alike() {
    let programs = planned("127.0.0.1:8080");
    let [first, second] = ["orchestrator-1", "orchestrator-2"].map(|name| named(&programs, name));
    let told = line(first);
    for flags in [
        "--listen 127.0.0.1:9009 --artifacts /data/artifacts",
        "--teacher-address http://127.0.0.1:9002,http://127.0.0.1:9003,http://127.0.0.1:9004",
        "--vae-address http://127.0.0.1:9005,http://127.0.0.1:9006",
        "--student-address http://127.0.0.1:9007,http://127.0.0.1:9008",
        "--cache-url redis://127.0.0.1:9001",
    ] {
        assert!(told.contains(flags), "{flags} is missing in {told}");
    }
    assert_eq!(told.replace("9009", "9010"), line(second));
    assert_eq!(first.settings, second.settings);
}

#[test]
fn strangers_names_are_answered_only_where_strangers_can_come() {
    let open = ("DEEPER_ALLOWED_HOSTS", "*".to_owned());
    let settings = |listen| named(&planned(listen), "orchestrator-1").settings.clone();
    assert!(!settings("127.0.0.1:8080").contains(&open));
    assert!(settings("0.0.0.0:8080").contains(&open));
}

#[test]
fn redis_keeps_nothing_and_has_an_end() {
    let told = line(named(&planned("127.0.0.1:8080"), "redis"));
    for flags in ["--bind 127.0.0.1 --port 9001", "--save  --appendonly no", "--maxmemory-policy allkeys-lru"] {
        assert!(told.contains(flags), "{flags} is missing in {told}");
    }
}

/// A flag that is renamed would otherwise be missed by the first person who starts a cluster.
#[test]
fn every_flag_and_variable_is_one_that_its_service_has() {
    let sources = |folder: PathBuf| -> String {
        let mut folders = vec![folder];
        let mut text = String::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    text.push_str(&fs::read_to_string(path).unwrap());
                }
            }
        }
        text
    };
    let shared = sources(place::root().join("crates/runtime/src"));
    for program in planned("0.0.0.0:8080") {
        if matches!(program.kind, Kind::Redis | Kind::Nginx) {
            continue;
        }
        let own = sources(place::root().join("services").join(program.kind.name()).join("src"));
        let flags = program.arguments.iter().filter_map(|word| word.to_str()?.strip_prefix("--"));
        for flag in flags {
            let field = format!("pub {}: ", flag.replace('-', "_"));
            assert!(own.contains(&field) || shared.contains(&field), "{} has no --{flag}", program.name);
        }
        for (variable, _) in &program.settings {
            let words = format!("env = \"{variable}\"");
            assert!(own.contains(&words) || shared.contains(&words), "{} has no {variable}", program.name);
        }
    }
}
