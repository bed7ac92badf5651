//! Facts about the port, on a folder with a tiny page and a service that knows nothing.

use axum::body::to_bytes;
use http::Method;
use tonic::service::Routes;

use super::*;

fn page() -> (tempfile::TempDir, Router) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("index.html", "<!doctype html>"),
        ("index.html.br", "brotli"),
        ("deeper_bg.wasm", "wasm"),
        ("deeper_bg.wasm.gz", "zipped"),
        ("app-0123456789abcdef.js", "js"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let router = router(Routes::default().into_axum_router(), Some(folder.path().to_owned()));
    (folder, router)
}

async fn ask(router: &Router, method: Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1_000).await.unwrap();
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

async fn get_file(path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
    let (_folder, router) = page();
    ask(&router, Method::GET, path, headers).await
}

#[tokio::test]
async fn the_page_is_served_for_its_routes_and_never_for_a_missing_file() {
    for route in ["/", "/teachers/resnet50-mnist/cells/4-9"] {
        let (status, headers, body) = get_file(route, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "<!doctype html>"), "{route}");
        assert_eq!(headers["content-type"], "text/html");
        assert_eq!(headers["cache-control"], "no-cache");
    }
    for missing in ["/missing.wasm", "/a/missing.js", "/../Cargo.toml", "/%2e%2e/secret.txt"] {
        let (status, _, body) = get_file(missing, &[]).await;
        assert_eq!((status, body.contains("doctype")), (StatusCode::NOT_FOUND, false), "{missing}");
    }
}

#[tokio::test]
async fn what_was_compressed_before_is_sent_to_those_who_can_read_it() {
    let (_, headers, body) = get_file("/", &[("accept-encoding", "gzip, br")]).await;
    assert_eq!((&headers["content-encoding"], body.as_str()), (&"br".parse().unwrap(), "brotli"));
    let (_, headers, body) = get_file("/deeper_bg.wasm", &[("accept-encoding", "gzip")]).await;
    assert_eq!((&headers["content-type"], body.as_str()), (&"application/wasm".parse().unwrap(), "zipped"));
    assert_eq!(headers["vary"], "accept-encoding");
    let (_, headers, body) = get_file("/deeper_bg.wasm", &[]).await;
    assert_eq!((headers.get("content-encoding"), body.as_str()), (None, "wasm"));
}

#[tokio::test]
async fn every_page_answer_carries_the_policy_and_only_hashed_names_are_kept() {
    for path in ["/", "/livez", "/missing.js"] {
        let (_, headers, _) = get_file(path, &[]).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self' 'wasm-unsafe-eval';"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
    let (_, headers, _) = get_file("/app-0123456789abcdef.js", &[]).await;
    assert_eq!(headers["cache-control"], CACHE_FOR_EVER);
    assert_eq!(cache_control("/deadbeefdeadbeef.css"), CACHE_AND_ASK, "a word of hex letters");
}

#[tokio::test]
async fn an_unknown_service_is_unimplemented_and_not_a_page() {
    let (_folder, router) = page();
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        let headers = [("content-type", content_type)];
        // grpc-web is spoken over HTTP/1, plain gRPC over HTTP/2; here the router is asked without either.
        let (status, answer, body) = ask(&router, Method::POST, "/no.such.Service/Method", &headers).await;
        let told = format!("{answer:?} {body}");
        assert!(told.contains("12") || status == StatusCode::BAD_REQUEST, "{content_type}: {status} {told}");
        assert!(!body.contains("doctype"));
    }
}

#[tokio::test]
async fn a_server_without_a_page_says_so_and_is_alive() {
    let router = router(Routes::default().into_axum_router(), None);
    let (status, _, body) = ask(&router, Method::GET, "/", &[]).await;
    assert_eq!((status, body.contains("no page")), (StatusCode::NOT_FOUND, true));
    let (status, _, body) = ask(&router, Method::GET, "/livez", &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "ok"));
}
