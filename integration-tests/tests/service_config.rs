//! The published gRPC service config says of every public method what its proto file says.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{FileDescriptorSet, method_options::IdempotencyLevel};
use serde_json::Value;

const CONFIG: &str = include_str!("../../proto/service_config.json");
/// Packages that the orchestrator serves.
const PUBLIC: [&str; 3] = ["deeper.catalog.v1", "deeper.explanation.v1", "google.longrunning"];

/// Every public method, and whether it may be repeated and streams.
fn methods() -> BTreeMap<(String, String), (bool, bool)> {
    let mut methods = BTreeMap::new();
    for file in FileDescriptorSet::decode(proto::raw::DESCRIPTORS).unwrap().file {
        for service in file.service.iter().filter(|_| PUBLIC.contains(&file.package())) {
            for method in &service.method {
                let level = method.options.as_ref().map(|options| options.idempotency_level());
                let is_repeatable = level.is_some_and(|level| level != IdempotencyLevel::IdempotencyUnknown);
                let key = (format!("{}.{}", file.package(), service.name()), method.name().to_owned());
                methods.insert(key, (is_repeatable, method.server_streaming()));
            }
        }
    }
    methods
}

#[test]
fn exactly_what_has_no_side_effects_is_retried_and_streams_have_no_deadline() {
    let config: Value = serde_json::from_str(CONFIG).unwrap();
    let mut methods = methods();
    let mut defaults = Vec::new();
    for entry in config["methodConfig"].as_array().unwrap() {
        let retries = entry.get("retryPolicy");
        if let Some(policy) = retries {
            assert_eq!(policy["retryableStatusCodes"], serde_json::json!(["UNAVAILABLE"]));
            assert_eq!(policy["maxAttempts"], 4);
        }
        for name in entry["name"].as_array().unwrap() {
            let service = name["service"].as_str().unwrap().to_owned();
            let Some(method) = name["method"].as_str() else {
                assert!(retries.is_none(), "{service}: a default must not retry what creates things");
                defaults.push(service);
                continue;
            };
            let (is_repeatable, streams) = methods.remove(&(service, method.to_owned())).unwrap();
            assert_eq!(retries.is_some(), is_repeatable, "{method}");
            assert_eq!(entry.get("timeout").is_some(), !streams, "{method}");
        }
    }
    for ((service, method), (is_repeatable, _)) in methods {
        assert!(!is_repeatable, "{service}/{method} may be repeated and is not");
        assert!(defaults.contains(&service), "{service} has no default");
    }
    assert_eq!(config["retryThrottling"], serde_json::json!({ "maxTokens": 1000, "tokenRatio": 0.1 }));
}
