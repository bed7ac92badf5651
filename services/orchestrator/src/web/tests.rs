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
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::fs::write(folder.path().join("folder/index.html"), "<!doctype html>").unwrap();
    let router = router(Routes::default().into_axum_router(), Some(folder.path().to_owned()), Hosts::any());
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
async fn the_page_is_served_where_it_lies_and_nowhere_else() {
    for route in ["/", "/?teacher=resnet50-mnist&cell=4:9&image=train-4.2", "/index.html"] {
        let (status, headers, body) = get_file(route, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "<!doctype html>"), "{route}");
        assert_eq!(headers["content-type"], "text/html");
        assert_eq!(headers["cache-control"], "no-cache");
    }
    for missing in [
        "/missing.wasm",
        "/a/missing.js",
        "/../Cargo.toml",
        "/%2e%2e/secret.txt",
        "/metrics",
        "/healthz",
        "/debug/pprof/",
        "/v1/teachers",
        "/deeper.catalog.v1.CatalogService/ListTeachers",
        "/teachers/resnet50-mnist/cells/4-9",
        "//",
        "/folder",
        "/folder/",
    ] {
        let (status, headers, body) = get_file(missing, &[]).await;
        assert_eq!((status, body.contains("doctype")), (StatusCode::NOT_FOUND, false), "{missing}");
        assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain"), "{missing}");
        assert!(body.contains("there is nothing here"), "{missing}: {body}");
        assert_eq!(headers.get("cache-control"), None, "{missing}");
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
async fn every_page_answer_carries_the_policy_and_only_hashed_addresses_are_kept() {
    for path in ["/", "/livez", "/missing.js"] {
        let (_, headers, _) = get_file(path, &[]).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self' 'wasm-unsafe-eval';"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
    let (_, headers, _) = get_file("/app-0123456789abcdef.js", &[]).await;
    assert_eq!(headers["cache-control"], CACHE_FOR_EVER);
    let caching = |address: &'static str| cache_control(&Uri::from_static(address));
    assert_eq!(caching("/deadbeefdeadbeef.css"), CACHE_AND_ASK, "a word of hex letters");
    assert_eq!(caching("/style.css?v=ab9f71e35a1d"), CACHE_FOR_EVER);
    for other in ["/style.css?v=2", "/style.css?v=", "/style.css?w=ab9f71e35a1d", "/style.css?v=ab9f71e35a1d&x"] {
        assert_eq!(caching(other), CACHE_AND_ASK, "{other}");
    }
    let (_, headers, _) = get_file("/deeper_bg.wasm?v=ab9f71e35a1d", &[]).await;
    assert_eq!(headers["cache-control"], CACHE_FOR_EVER);
    for never in ["/?v=ab9f71e35a1d", "/index.html?v=ab9f71e35a1d"] {
        assert_eq!(get_file(never, &[]).await.1["cache-control"], CACHE_AND_ASK, "{never}");
    }
    let (status, headers, _) = get_file("/gone.js?v=ab9f71e35a1d", &[]).await;
    assert_eq!((status, headers.get("cache-control")), (StatusCode::NOT_FOUND, None));
}

#[tokio::test]
async fn an_unknown_service_is_unimplemented_and_not_a_page() {
    let (_folder, router) = page();
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        let headers = [("content-type", content_type)];
        // grpc-web is spoken over HTTP/1, plain gRPC over HTTP/2; here the router is asked without either.
        let (status, answer, body) = ask(&router, Method::POST, "/no.such.Service/Method", &headers).await;
        let told = format!("{answer:?} {body}");
        let is_unspoken = status == StatusCode::UNSUPPORTED_MEDIA_TYPE && body.contains("gRPC needs HTTP/2");
        assert!(told.contains("12") || is_unspoken, "{content_type}: {status} {told}");
        assert!(!body.contains("doctype"));
    }
}

#[tokio::test]
async fn a_server_without_a_page_says_so_and_is_alive() {
    let router = router(Routes::default().into_axum_router(), None, Hosts::any());
    let (status, _, body) = ask(&router, Method::GET, "/", &[]).await;
    assert_eq!((status, body.contains("no page")), (StatusCode::NOT_FOUND, true));
    let (status, _, body) = ask(&router, Method::GET, "/livez", &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "ok"));
}

#[tokio::test]
async fn another_host_is_refused_as_the_caller_speaks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<!doctype html>").unwrap();
    let hosts = Hosts::new(&[], "127.0.0.1:8080".parse().unwrap());
    let router = router(Routes::default().into_axum_router(), Some(folder.path().to_owned()), hosts);
    let (status, _, body) = ask(&router, Method::GET, "/", &[("host", "localhost:8080")]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "<!doctype html>"));
    let (status, headers, body) = ask(&router, Method::GET, "/", &[("host", "evil.example:8080")]).await;
    assert_eq!((status, body.contains("doctype")), (StatusCode::FORBIDDEN, false));
    assert!(body.contains("evil.example:8080") && body.contains("DEEPER_ALLOWED_HOSTS"), "{body}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    for content_type in ["application/grpc", "application/grpc-web+proto", "application/grpc-web-text"] {
        let headers = [("host", "evil.example"), ("content-type", content_type)];
        let (status, answer, _) = ask(&router, Method::POST, "/no.such.Service/Method", &headers).await;
        assert_eq!(
            (status, &answer["grpc-status"], &answer["content-type"]),
            (StatusCode::OK, &HeaderValue::from_static("7"), &HeaderValue::from_static(content_type))
        );
    }
}

#[tokio::test]
async fn probes_are_answered_under_every_name() {
    let hosts = Hosts::new(&["deeper.lab".to_owned()], "0.0.0.0:8080".parse().unwrap());
    let router = router(Routes::default().into_axum_router(), None, hosts);
    let (status, _, body) = ask(&router, Method::GET, "/livez", &[("host", "10.0.0.7:8080")]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "ok"));
    let headers = [("host", "10.0.0.7:8080"), ("content-type", "application/grpc-web+proto")];
    for (path, code) in [("/grpc.health.v1.Health/Check", "12"), ("/a.Service/Method", "7")] {
        let (_, answer, _) = ask(&router, Method::POST, path, &headers).await;
        // There is no health service behind this router; that the call gets to it is what counts.
        assert_eq!(answer["grpc-status"], code, "{path}");
    }
}
