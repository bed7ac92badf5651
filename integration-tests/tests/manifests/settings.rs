//! What the services can be told, as their own command lines say it.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Command, CommandFactory};

/// What every process reads beside its `Config`: `runtime::telemetry`, and the collector's library itself.
pub(crate) const OF_TELEMETRY: [&str; 3] = ["DEEPER_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES"];

/// Settings that no manifest names, and why each is left at its default or unset.
pub(crate) const LEFT_ALONE: &[(&str, &str, &str)] = &[
    ("orchestrator", "DEEPER_MNIST_DIR", "data sets are put into the store by `cargo xtask fetch --to`"),
    ("orchestrator", "DEEPER_TRUSTED_GATEWAYS", "none is, until a proxy that knows its users stands in front"),
    ("orchestrator", "DEEPER_API_KEYS_FILE", "there are none, until the operator makes some"),
    ("orchestrator", "DEEPER_ALLOWED_HOSTS", "a gateway in front decides which names reach it"),
    ("teacher", "DEEPER_SERVE_MODELS", "the operator names models once there are some"),
    ("vae", "DEEPER_SERVE_MODELS", "the same"),
];

/// The command line of a program.
pub(crate) fn command(program: &str) -> Command {
    match program {
        "orchestrator" => orchestrator::Config::command(),
        "teacher" => teacher::Config::command(),
        "vae" => vae::Config::command(),
        "student" => student::Config::command(),
        other => panic!("{other} is none of ours"),
    }
}

/// Variable to flag.
pub(crate) fn variables(program: &str) -> BTreeMap<String, String> {
    let command = command(program);
    let named = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env()?.to_string_lossy().into_owned();
        Some((variable, format!("--{}", argument.get_long()?)))
    });
    named.collect()
}

/// Reads the values of `environment` as the program would: each mistake that clap finds.
pub(crate) fn mistakes(program: &str, environment: &BTreeMap<String, String>) -> Option<String> {
    let variables = variables(program);
    let flags = environment.iter().filter_map(|(name, value)| Some(format!("{}={value}", variables.get(name)?)));
    let arguments = std::iter::once(program.to_owned()).chain(flags);
    command(program).try_get_matches_from(arguments).err().map(|error| error.to_string())
}

/// Whom a process with this environment calls: host and port.
pub(crate) fn peers(environment: &BTreeMap<String, String>) -> BTreeSet<(String, u64)> {
    let addresses = environment.iter().filter(|(name, _)| {
        name.ends_with("_ADDRESS") || ["DEEPER_CACHE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"].contains(&name.as_str())
    });
    addresses
        .map(|(name, value)| {
            let (_, place) = value.split_once("://").unwrap_or_else(|| panic!("{name}={value} has no scheme"));
            let (host, port) = place.trim_start_matches('/').rsplit_once(':').unwrap();
            (host.to_owned(), port.parse().unwrap())
        })
        .collect()
}
