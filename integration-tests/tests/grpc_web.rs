//! The same API over grpc-web, with the page on the same port: what a browser needs of the server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use integration_tests::{
    Failure, Sandbox, World,
    api::{explain_image, fitted},
    known::random_image,
    web::{WebAnswer, call, http},
    world::DATASET,
};
use proto::raw::{
    deeper::{
        catalog::v1::{self as catalog, watch_activity_response::Update},
        explanation::v1 as raw,
    },
    google::longrunning::{GetOperationRequest, Operation},
};
use tonic::{Code, Status, codegen::http as types, metadata::MetadataMap};

const CATALOG: &str = "/deeper.catalog.v1.CatalogService";
const EXPLANATIONS: &str = "/deeper.explanation.v1.ExplanationService";

/// The failure in an answer's trailers.
fn failure<T: std::fmt::Debug>(answer: &WebAnswer<T>) -> Failure {
    let mut headers = types::HeaderMap::new();
    for (name, value) in &answer.trailers {
        headers.insert(types::HeaderName::try_from(name).unwrap(), types::HeaderValue::from_str(value).unwrap());
    }
    let status = Status::from_header_map(&MetadataMap::from_headers(headers).into_headers());
    status.unwrap_or_else(|| panic!("no status: {answer:?}")).into()
}

#[tokio::test]
async fn a_unary_call_answers_over_http_1() {
    let sandbox = Sandbox::linear().await;
    let request = catalog::GetDatasetRequest { name: DATASET.into() };
    let answer: WebAnswer<catalog::Dataset> =
        call(sandbox.address, &format!("{CATALOG}/GetDataset"), &request).await.unwrap();
    assert_eq!(answer.trailer("grpc-status"), Some("0"));
    assert_eq!(answer.messages.len(), 1);
    assert_eq!(answer.messages[0].label_names, ["circle", "square", "cross"]);
}

#[tokio::test]
async fn a_stream_answers_snapshot_by_snapshot_and_ends_with_its_status() {
    let sandbox = Sandbox::linear().await;
    let path = format!("{EXPLANATIONS}/CreateExplanation");
    let created: WebAnswer<Operation> =
        call(sandbox.address, &path, &explain_image("x", &random_image(1))).await.unwrap();
    let operation = &created.messages[0];

    let request = raw::WatchExplanationRequest { name: "explanations/x".into() };
    let path = format!("{EXPLANATIONS}/WatchExplanation");
    let watched: WebAnswer<raw::Explanation> = call(sandbox.address, &path, &request).await.unwrap();
    assert_eq!(watched.trailer("grpc-status"), Some("0"));
    let last = watched.messages.last().unwrap();
    assert_eq!((last.state(), fitted(last).neighbor_count), (raw::State::Succeeded, 1_000));

    let request = GetOperationRequest { name: operation.name.clone() };
    let path = "/google.longrunning.Operations/GetOperation";
    let ended: WebAnswer<Operation> = call(sandbox.address, path, &request).await.unwrap();
    assert!(ended.messages[0].done);

    // The two transports tell the same.
    let request = raw::GetExplanationRequest { name: "explanations/x".into() };
    let got = sandbox.api.explanations.clone().get_explanation(request).await.unwrap().into_inner();
    assert_eq!(&got, last);
}

#[tokio::test]
async fn a_failure_has_all_its_details() {
    let sandbox = Sandbox::linear().await;
    let path = format!("{EXPLANATIONS}/CreateExplanation");
    let answer: WebAnswer<Operation> =
        call(sandbox.address, &path, &raw::CreateExplanationRequest::default()).await.unwrap();
    assert!(answer.messages.is_empty());
    failure(&answer).expect_fields(&["teacher", "autoencoder", "instance"]);

    let request = catalog::GetTeacherRequest { name: "teachers/none".into() };
    let path = format!("{CATALOG}/GetTeacher");
    let answer: WebAnswer<catalog::Teacher> = call(sandbox.address, &path, &request).await.unwrap();
    let failure = failure(&answer);
    failure.expect(Code::NotFound, "TEACHER_NOT_FOUND");
    assert_eq!(failure.details.resource_info().unwrap().resource_name, "teachers/none");
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented_and_not_a_page() {
    let sandbox = Sandbox::linear().await;
    let path = format!("{CATALOG}/MakeTea");
    let answer: WebAnswer<catalog::Dataset> =
        call(sandbox.address, &path, &catalog::GetDatasetRequest::default()).await.unwrap();
    failure(&answer).expect(Code::Unimplemented, "METHOD_UNKNOWN");
}

#[tokio::test]
async fn an_endless_watch_ends_when_the_server_drains() {
    let sandbox = Sandbox::linear().await;
    let address = sandbox.address;
    let watching = tokio::spawn(async move {
        let path = format!("{CATALOG}/WatchActivity");
        call::<catalog::WatchActivityResponse>(address, &path, &catalog::WatchActivityRequest {}).await.unwrap()
    });
    // A call that is answered after the watch was opened: the watch has its snapshot by then.
    sandbox.create_teacher("second", 1).await.unwrap();
    sandbox.shut_down().await;
    let answer = watching.await.unwrap();
    assert!(matches!(answer.messages[0].update, Some(Update::Snapshot(_))));
}

#[tokio::test]
async fn the_page_lies_on_the_same_port_under_a_policy_that_lets_it_load_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<!doctype html><title>deeper</title>").unwrap();
    let sandbox = Sandbox::start_with(&World::linear().await, Some(folder.path().to_owned())).await;
    for path in ["/", "/?teacher=known&cell=1:2", "/index.html"] {
        let answer = http(sandbox.address, &format!("GET {path} HTTP/1.1\r\n"), b"").await.unwrap();
        assert_eq!((answer.status, answer.header("x-content-type-options")), (200, Some("nosniff")));
        assert!(String::from_utf8_lossy(&answer.body).contains("deeper"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src 'unsafe-inline'"), "{policy}");
    }
    for elsewhere in ["/metrics", "/teachers/known", "/index.htm"] {
        let answer = http(sandbox.address, &format!("GET {elsewhere} HTTP/1.1\r\n"), b"").await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("text/plain; charset=utf-8")));
        assert!(String::from_utf8_lossy(&answer.body).contains("there is nothing here"), "{elsewhere}");
    }
    let missing = http(sandbox.address, "GET /../Cargo.toml HTTP/1.1\r\n", b"").await.unwrap();
    assert!(missing.status == 404 || missing.status == 400, "{missing:?}");
}
