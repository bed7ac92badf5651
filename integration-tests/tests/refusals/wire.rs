//! What is no request at all: torn frames, bytes that are no message, messages that are too large, compressed or
//! for nobody, over HTTP/2 as gRPC and over HTTP/1.1 as grpc-web. Nothing of it is the server's fault, and the
//! answer says so.

use std::net::SocketAddr;

use integration_tests::{
    Failure, Sandbox,
    web::{HttpAnswer, call_bytes, http},
    world::{QUARTERS, TEACHER},
};
use proto::raw::deeper::{catalog::v1 as catalog, explanation::v1 as raw, types::v1 as types};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{Service, http as h},
    transport::Endpoint,
};

const GET_DATASET: &str = "/deeper.catalog.v1.CatalogService/GetDataset";

/// Sends bytes as they are over HTTP/2, addressed to `host`.
async fn grpc(address: SocketAddr, host: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Failure {
    let origin = format!("http://{host}").parse().unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().origin(origin);
    let mut channel = endpoint.connect().await.unwrap();
    let mut request = h::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    futures::future::poll_fn(|task| channel.poll_ready(task)).await.unwrap();
    let answer = channel.call(request.body(Body::new(body.to_owned())).unwrap()).await.unwrap();
    Status::from_header_map(answer.headers()).expect("a status in the head of the answer").into()
}

/// Every kind of torn or foreign message: what it is, its bytes, and what the answer says.
const TORN: [(&str, &str, &str); 6] = [
    ("no message", "", "without its message"),
    ("half a frame", "\0\0\0", "shorter than its gRPC frame"),
    ("a frame that is cut", "\0\0\0\0\x7fabc", "shorter than its gRPC frame"),
    ("a frame of another kind", "\x07\0\0\0\x01a", "first byte is neither 0 nor 1"),
    ("compressed without a word", "\x01\0\0\0\x01a", "no grpc-encoding"),
    ("no protobuf", "\0\0\0\0\x02\x0a\x7f", "the proto file of this method describes: "),
];

#[tokio::test]
async fn what_cannot_be_read_is_a_malformed_request_over_both_transports() {
    let sandbox = Sandbox::linear().await;
    let host = sandbox.address.to_string();
    for (what, body, told) in TORN {
        let over_grpc = grpc(sandbox.address, &host, GET_DATASET, &[], body).await;
        let over_web = web(sandbox.address, "application/grpc-web+proto", body.as_bytes()).await;
        for failure in [over_grpc, over_web] {
            assert_eq!(failure.reason, "MALFORMED_REQUEST", "{what}: {failure:?}");
            failure.expect(Code::InvalidArgument, "MALFORMED_REQUEST");
            assert!(failure.message.contains(told), "{what}: {failure:?}");
        }
    }
    // Bytes that are no text, in a field that is one.
    let failure = web(sandbox.address, "application/grpc-web", b"\0\0\0\0\x04\x0a\x02\xff\xfe").await;
    failure.expect(Code::InvalidArgument, "MALFORMED_REQUEST");
    assert!(failure.message.contains("GetDatasetRequest.name"), "{failure:?}");
    for no_base64 in ["!!!!", "AAAAA", "AAAA=AAA"] {
        let failure = web(sandbox.address, "application/grpc-web-text", no_base64.as_bytes()).await;
        failure.expect(Code::InvalidArgument, "MALFORMED_REQUEST");
        assert!(failure.message.contains("base64"), "{no_base64}: {failure:?}");
    }
}

async fn web(address: SocketAddr, content_type: &str, body: &[u8]) -> Failure {
    let answer = call_bytes(address, GET_DATASET, content_type, &[], body).await.unwrap();
    status_of(&answer)
}

fn status_of(answer: &HttpAnswer) -> Failure {
    let mut headers = h::HeaderMap::new();
    for (name, value) in &answer.headers {
        headers.append(h::HeaderName::try_from(name).unwrap(), h::HeaderValue::from_str(value).unwrap());
    }
    Status::from_header_map(&headers).unwrap_or_else(|| panic!("no status: {answer:?}")).into()
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_before_it_is_read_and_the_limit_is_told() {
    let sandbox = Sandbox::linear().await;
    let host = sandbox.address.to_string();
    // A frame of 16 MiB is announced; nothing of it needs to come.
    let announced = "\0\x01\0\0\0";
    let over_grpc = grpc(sandbox.address, &host, GET_DATASET, &[], announced).await;
    let over_web = web(sandbox.address, "application/grpc-web+proto", announced.as_bytes()).await;
    for failure in [over_grpc, over_web] {
        failure.expect(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
        assert!(failure.message.contains("4194304 bytes"), "{failure:?}");
        assert!(failure.details.retry_info().is_none(), "another try would not help");
    }
}

#[tokio::test]
async fn unknown_methods_and_encodings_are_named() {
    let sandbox = Sandbox::linear().await;
    let host = sandbox.address.to_string();
    let empty = "\0\0\0\0\0";
    for unknown in ["/deeper.catalog.v1.CatalogService/MakeTea", "/no.such.Service/Method", "/nonsense"] {
        let over_grpc = grpc(sandbox.address, &host, unknown, &[], empty).await;
        let answer = call_bytes(sandbox.address, unknown, "application/grpc-web+proto", &[], empty.as_bytes()).await;
        for failure in [over_grpc, status_of(&answer.unwrap())] {
            failure.expect(Code::Unimplemented, "METHOD_UNKNOWN");
            assert!(failure.message.contains(unknown.trim_start_matches('/')), "{failure:?}");
        }
    }
    for encoding in ["gzip", "nonsense"] {
        let failure = grpc(sandbox.address, &host, GET_DATASET, &[("grpc-encoding", encoding)], empty).await;
        failure.expect(Code::Unimplemented, "ENCODING_UNSUPPORTED");
        assert!(failure.message.contains(encoding) && failure.message.contains("uncompressed"), "{failure:?}");
    }
    // Plain gRPC needs HTTP/2; over HTTP/1.1 it gets words instead of a silent 400.
    let answer = call_bytes(sandbox.address, GET_DATASET, "application/grpc", &[], empty.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 415);
    assert!(String::from_utf8_lossy(&answer.body).contains("grpc-web"), "{answer:?}");
}

#[tokio::test]
async fn a_stranger_s_name_for_this_machine_opens_nothing() {
    let sandbox = Sandbox::linear().await;
    let port = sandbox.address.port();
    let empty = "\0\0\0\0\0";
    for own in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "[::1]:9".to_owned()] {
        let failure = grpc(sandbox.address, &own, GET_DATASET, &[], empty).await;
        failure.expect_fields(&["name"]);
    }
    for stranger in [format!("evil.example:{port}"), "rebound.example".to_owned()] {
        let failure = grpc(sandbox.address, &stranger, GET_DATASET, &[], empty).await;
        failure.expect(Code::PermissionDenied, "HOST_NOT_ALLOWED");
        assert!(failure.message.contains(&stranger) && failure.message.contains("DEEPER_ALLOWED_HOSTS"), "{failure:?}");
        let head = format!("POST {GET_DATASET} HTTP/1.1\r\ncontent-type: application/grpc-web+proto\r\n");
        let answer = http(sandbox.address, &format!("{head}host: {stranger}\r\n"), empty.as_bytes()).await.unwrap();
        status_of(&answer).expect(Code::PermissionDenied, "HOST_NOT_ALLOWED");
        let page = http(sandbox.address, &format!("GET / HTTP/1.1\r\nhost: {stranger}\r\n"), b"").await.unwrap();
        assert_eq!(page.status, 403);
        assert!(String::from_utf8_lossy(&page.body).contains(&stranger), "{page:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_wrong_all_over_is_told_within_what_every_client_reads() {
    let sandbox = Sandbox::linear().await;
    let request = raw::DecodeLatentsRequest {
        teacher: TEACHER.into(),
        autoencoder: QUARTERS.into(),
        latents: vec![types::LatentPoint { coordinates: vec![f32::NAN; 3] }; 256],
        anchor: None,
    };
    let status = sandbox.api.explanations.clone().decode_latents(request).await.unwrap_err();
    let mut trailers = h::HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(bytes < 8 * 1_024, "gRPC's C core refuses more than 8 KiB: {bytes}");
    let failure = Failure::from(status);
    assert!(failure.fields.len() > 20 && failure.fields[0] == "latents[0]", "{failure:?}");
    let last = failure.details.bad_request().unwrap().field_violations.last().unwrap().description.clone();
    assert!(last.starts_with("and ") && last.ends_with(" more"), "{last}");
    assert!(failure.message.len() < 600 && failure.message.ends_with(" more"), "{}", failure.message);

    let long = catalog::GetDatasetRequest { name: "é".repeat(100_000) };
    let failure = refused!(sandbox.api.catalog, get_dataset, long);
    failure.expect_fields(&["name"]);
}
