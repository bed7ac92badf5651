//! Clients that know nothing of this code: health, reflection, and Google's own Python library.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Stdio;

use integration_tests::Sandbox;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

#[tokio::test]
async fn health_says_serving_for_the_process_and_each_service() {
    let sandbox = Sandbox::linear().await;
    let channel = Endpoint::from_shared(format!("http://{}", sandbox.address)).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    for service in ["", "deeper.catalog.v1.CatalogService", "deeper.explanation.v1.ExplanationService"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
}

#[tokio::test]
async fn reflection_lists_the_public_services_and_describes_them() {
    let sandbox = Sandbox::linear().await;
    let channel = Endpoint::from_shared(format!("http://{}", sandbox.address)).unwrap().connect().await.unwrap();
    let mut reflection = ServerReflectionClient::new(channel);
    let ask = |request: MessageRequest| {
        futures::stream::iter([ServerReflectionRequest { host: String::new(), message_request: Some(request) }])
    };
    let list = ask(MessageRequest::ListServices(String::new()));
    let mut answers = reflection.server_reflection_info(list).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else { panic!("a list of services") };
    let names: Vec<&str> = services.service.iter().map(|service| service.name.as_str()).collect();
    for public in [
        "deeper.catalog.v1.CatalogService",
        "deeper.explanation.v1.ExplanationService",
        "google.longrunning.Operations",
    ] {
        assert!(names.contains(&public), "{public} is not in {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("TeacherService")), "an internal service: {names:?}");

    let describe = ask(MessageRequest::FileContainingSymbol("deeper.explanation.v1.Explanation".into()));
    let mut answers = reflection.server_reflection_info(describe).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    assert!(
        matches!(answer, MessageResponse::FileDescriptorResponse(files) if !files.file_descriptor_proto.is_empty())
    );
}

/// `cargo xtask test` installs the library and says where.
#[tokio::test]
async fn googles_own_python_client_reads_operations_and_error_details() {
    let Some(library) = std::env::var_os("DEEPER_TEST_GRPCIO_DIR") else {
        eprintln!("skipped: DEEPER_TEST_GRPCIO_DIR is not set; `cargo xtask test` sets it");
        return;
    };
    let sandbox = Sandbox::linear().await;
    let operation = sandbox.create_teacher("foreign", 1).await.unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/foreign_client.py");
    let output = tokio::process::Command::new(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()))
        .arg(script)
        .arg(sandbox.address.to_string())
        .arg(&operation.name)
        .env("PYTHONPATH", library)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{errors}");
    assert_eq!(out.trim(), "all facts hold");
}
