//! Who may import whom, and who may know what: the rules of ARCHITECTURE.md, kept by reading the manifests
//! and the sources.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What each crate of ours may depend on, among ours. Dev- and build-dependencies count too.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("proto", &["domain"]),
    ("torch", &["domain"]),
    ("artifacts", &["domain"]),
    ("runtime", &["domain", "proto"]),
    ("teacher", &["artifacts", "domain", "proto", "runtime", "torch"]),
    ("vae", &["artifacts", "domain", "proto", "runtime", "torch"]),
    ("student", &["domain", "proto", "runtime"]),
    ("orchestrator", &["artifacts", "domain", "proto", "runtime"]),
    ("frontend", &["domain", "proto"]),
    ("xtask", &[]),
];

/// Crates that may depend on everything, and on which nothing may depend.
const TOPS: &[&str] = &["standalone", "integration-tests"];

/// Longest source file. Longer ones hold two ideas.
const MAX_FILE_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Package name to the names of its dependencies, as cargo reads the manifests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = |package: &Value| {
        let names =
            package["dependencies"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned());
        (package["name"].as_str().unwrap().to_owned(), names.collect())
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

/// Every Rust source below a folder of the checkout, with its path from there.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// All code of ours but this file, which names what it forbids.
fn all_sources() -> Vec<(String, String)> {
    let folders = ["proto", "crates", "services", "frontend", "integration-tests"];
    let all = folders.iter().flat_map(|folder| sources(folder));
    all.filter(|(name, _)| name != "integration-tests/tests/architecture.rs").collect()
}

/// The code of a file: without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |code, line| code + line + "\n")
}

/// Files whose code names one of `words` although `may` does not allow them to.
fn trespassers(words: &[&str], may: impl Fn(&str) -> bool) -> Vec<String> {
    let names_it = |text: &str| {
        let code = code(text);
        words.iter().any(|word| code.match_indices(word).any(|(at, _)| starts_a_word(&code, at)))
    };
    all_sources().into_iter().filter(|(name, text)| !may(name) && names_it(text)).map(|(name, _)| name).collect()
}

/// `tch::` in `tch::Tensor`, not in `batch::Tensor`.
fn starts_a_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs") || name.starts_with("integration-tests/")
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let all = dependencies();
    let ours: BTreeSet<&String> = all.keys().collect();
    for (package, dependencies) in &all {
        let on_us: BTreeSet<&str> =
            dependencies.iter().filter(|name| ours.contains(name)).map(String::as_str).collect();
        let top = on_us.iter().find(|name| TOPS.contains(name));
        assert_eq!(top, None, "{package} depends on a top");
        if TOPS.contains(&package.as_str()) {
            continue;
        }
        let rule = MAY_IMPORT.iter().find(|(name, _)| name == package);
        let (_, allowed) = rule.unwrap_or_else(|| panic!("{package} has no rule yet: give it one here"));
        let trespass: Vec<_> = on_us.iter().filter(|name| !allowed.contains(name)).collect();
        assert!(trespass.is_empty(), "{package} may not depend on {trespass:?}");
    }
}

#[test]
fn domain_is_pure() {
    let domain = &dependencies()["domain"];
    for impure in ["tokio", "tonic", "tch", "prost", "tracing", "rand", "serde"] {
        assert!(!domain.contains(impure), "domain depends on {impure}");
    }
    let impure = ["std::fs", "std::net", "std::thread", "std::time", "std::env", "SystemTime", "Instant::now"];
    let found: Vec<_> = sources("crates/domain/src")
        .into_iter()
        .filter(|(_, text)| impure.iter().any(|word| code(text).contains(word)))
        .map(|(name, _)| name)
        .collect();
    assert!(found.is_empty(), "{found:?} read clocks, files or threads");
}

#[test]
fn the_page_knows_no_server_code() {
    let frontend = &dependencies()["frontend"];
    for server in ["runtime", "torch", "tokio", "tch", "artifacts"] {
        assert!(!frontend.contains(server), "the page depends on {server}");
    }
}

#[test]
fn only_torch_and_its_adapters_know_tch() {
    let adapters = [
        "services/teacher/src/networks",
        "services/teacher/src/training",
        "services/teacher/src/served.rs",
        "services/teacher/src/torch_workshop.rs",
        "services/teacher/examples",
        "services/vae/src/networks",
        "services/vae/src/training",
        "services/vae/src/stored.rs",
        "services/vae/examples",
    ];
    let may = |name: &str| {
        name.starts_with("crates/torch/") || is_test(name) || adapters.iter().any(|adapter| name.starts_with(adapter))
    };
    let found = trespassers(&["tch::"], may);
    assert!(found.is_empty(), "{found:?} name tch");
}

#[test]
fn only_its_adapter_knows_redis() {
    // The library, not our modules and tests of that name.
    let words = ["::redis::", "use redis::", "redis::cmd"];
    let may = |name: &str| name.starts_with("services/orchestrator/src/store/redis") || is_test(name);
    let found = trespassers(&words, may);
    assert!(found.is_empty(), "{found:?} name the crate redis");
    let dependents: Vec<_> =
        dependencies().into_iter().filter(|(_, names)| names.contains("redis")).map(|(name, _)| name).collect();
    assert_eq!(dependents, ["orchestrator"]);
}

#[test]
fn only_proto_makes_a_status_from_a_failure() {
    let makers = [
        "Status::new(",
        "Status::with_details",
        "Status::with_error_details",
        "Status::internal(",
        "Status::invalid_argument(",
        "Status::not_found(",
        "Status::unavailable(",
        "Status::cancelled(",
        "Status::failed_precondition(",
        "Status::resource_exhausted(",
        "Status::unimplemented(",
        "Status::already_exists(",
    ];
    let may = |name: &str| matches!(name, "proto/src/status.rs" | "proto/src/rpc.rs") || is_test(name);
    let found = trespassers(&makers, may);
    assert!(found.is_empty(), "{found:?} make statuses by themselves");
}

#[test]
fn generated_types_stay_at_the_edge() {
    let may = |name: &str| {
        let inside = name.split_once("/src/").map_or("", |(_, inside)| inside);
        let is_edge = ["grpc", "clients", "api", "job"].iter().any(|edge| {
            let rest = inside.strip_prefix(edge).unwrap_or("?");
            rest == ".rs" || rest.starts_with('/')
        });
        // A job is a face too: it reads a request from a file. Composition roots name the generated servers; documents are kept in the wire's own encoding.
        let is_root = inside == "lib.rs";
        let stores = ["services/orchestrator/src/records.rs", "services/orchestrator/src/explanations"];
        let is_store = stores.iter().any(|store| name.starts_with(store));
        let is_library = name.starts_with("proto/") || name.starts_with("crates/runtime/");
        is_library || is_edge || is_root || is_store || is_test(name)
    };
    let found = trespassers(&["proto::raw", "raw::deeper", "raw::google"], may);
    assert!(found.is_empty(), "{found:?} name generated types");
}

#[test]
fn no_domain_type_is_serialized_as_it_is() {
    let found: Vec<_> = sources("crates/domain/src")
        .into_iter()
        .filter(|(_, text)| text.contains("Serialize") || text.contains("serde"))
        .map(|(name, _)| name)
        .collect();
    assert!(found.is_empty(), "{found:?}: the wire's messages are what is stored and sent");
}

#[test]
fn nothing_prints_but_programs_for_terminals() {
    let may = |name: &str| is_test(name) || name.contains("/examples/") || name.ends_with("build.rs");
    let found = trespassers(&["println!(", "dbg!(", "todo!(", "unimplemented!("], may);
    let found: Vec<_> = found.iter().filter(|name| !name.ends_with("/main.rs")).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn files_hold_one_idea() {
    let lines = |text: &str| code(text).lines().filter(|line| !line.trim().is_empty()).count();
    let long: Vec<_> = all_sources()
        .into_iter()
        .filter(|(name, text)| !is_test(name) && lines(text) > MAX_FILE_LINES)
        .map(|(name, text)| format!("{name}: {}", lines(&text)))
        .collect();
    assert!(long.is_empty(), "longer than {MAX_FILE_LINES} lines of code: {long:?}");
}

#[test]
fn every_file_opens_with_its_idea() {
    let bare: Vec<_> = all_sources()
        .into_iter()
        .filter(|(name, text)| !name.ends_with("build.rs") && !text.trim_start().starts_with("//!"))
        .map(|(name, _)| name)
        .filter(|name| !is_test(name))
        .collect();
    assert!(bare.is_empty(), "{bare:?} say not what they are for");
}
