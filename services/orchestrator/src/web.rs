//! The page and the API on one port: what speaks gRPC goes to the services, everything else gets files.
//! The page asks nobody but us, and the headers say so.

use std::path::PathBuf;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::Error;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use runtime::status::from_error;
use tonic_web::GrpcWebLayer;
use tower::ServiceExt;
use tower_http::services::ServeDir;

use crate::hosts::Hosts;

/// Scripts, wasm, styles, fonts and calls from here alone. The page sets sizes and colors by style
/// attributes, which Yew writes as attributes.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A file whose name holds its hash never changes.
const CACHE_FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Others are asked for again, and mostly answered with 304.
const CACHE_AND_ASK: &str = "no-cache";
/// Shortest run of hex digits in a file name that is a hash.
const HASH_LENGTH: usize = 16;
/// Shortest version in an address (`/style.css?v=1f3a…`) that is a hash: the build writes twelve digits.
const VERSION_LENGTH: usize = 12;
/// The page itself. All that it selects is in the query, so it has this one route.
const PAGE: &str = "/index.html";
/// Whether the process lives.
const LIVENESS: &str = "/livez";
/// How it does. Probes ask by the address of the pod, which nobody can put into a list of names; these two tell
/// and change nothing that a stranger's page could use.
const HEALTH: &str = "/grpc.health.v1.Health/";

#[derive(Clone)]
struct Sides {
    grpc: Router,
    page: Router,
    hosts: Hosts,
}

/// Joins the router of all gRPC services with the files of a folder. Without a folder there is no page. Both are
/// for those who ask for one of these hosts.
pub(crate) fn router(grpc: Router, page_folder: Option<PathBuf>, hosts: Hosts) -> Router {
    let grpc = grpc.layer(GrpcWebLayer::new());
    let page = Router::new().route(LIVENESS, get(|| async { "ok" }));
    let page = match page_folder {
        Some(folder) => {
            let files = ServeDir::new(folder).append_index_html_on_directories(false);
            let files = files.precompressed_br().precompressed_gzip();
            page.fallback(move |request: Request| serve_file(files.clone(), request))
        }
        None => page.fallback(|| async { (StatusCode::NOT_FOUND, "this server has no page, only the API") }),
    };
    Router::new().fallback(dispatch).with_state(Sides { grpc, page, hosts })
}

/// Everything that claims to be gRPC, of a service that we have or not, is answered as gRPC.
async fn dispatch(State(sides): State<Sides>, request: Request) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
    let spoken = content_type.filter(|value| value.as_bytes().starts_with(b"application/grpc"));
    let path = request.uri().path();
    let is_probe = path == LIVENESS || path.starts_with(HEALTH);
    if !is_probe && let Err(error) = sides.hosts.admit(request.uri(), request.headers()) {
        tracing::debug!(%error, "a request was refused");
        return match spoken {
            Some(content_type) => grpc_refusal(error, content_type),
            None => with_page_headers((StatusCode::FORBIDDEN, error.to_string()).into_response()),
        };
    }
    let answered = match spoken {
        Some(content_type) if is_plain_grpc_over_http1(&content_type, request.version()) => {
            let words = "gRPC needs HTTP/2; over HTTP/1.1 send application/grpc-web+proto";
            Ok((StatusCode::UNSUPPORTED_MEDIA_TYPE, words).into_response())
        }
        Some(_) => sides.grpc.oneshot(request).await,
        None => sides.page.oneshot(request).await.map(with_page_headers),
    };
    answered.unwrap_or_else(|never| match never {})
}

/// A failed call without messages has its status in the headers, in gRPC and in all kinds of grpc-web.
fn grpc_refusal(error: Error, content_type: HeaderValue) -> Response {
    let mut response = from_error(error).into_http::<Body>();
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn is_plain_grpc_over_http1(content_type: &HeaderValue, version: Version) -> bool {
    version < Version::HTTP_2 && !content_type.as_bytes().starts_with(b"application/grpc-web")
}

async fn serve_file(files: ServeDir, mut request: Request) -> Response {
    let asked = request.uri().clone();
    let is_page = matches!(asked.path(), "/" | PAGE);
    if is_page {
        *request.uri_mut() = Uri::from_static(PAGE);
    }
    let response = match files.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    if response.status() == StatusCode::NOT_FOUND {
        let words = "there is nothing here: the page is at /, the API speaks gRPC and grpc-web";
        return (StatusCode::NOT_FOUND, words).into_response();
    }
    let caching = if is_page { CACHE_AND_ASK } else { cache_control(&asked) };
    with_headers(response, &[(header::CACHE_CONTROL, caching), (header::VARY, "accept-encoding")])
}

/// A file is kept for good where its address holds its hash: in the name, or as the version that the page's
/// own files refer to it by.
fn cache_control(asked: &Uri) -> &'static str {
    let name = asked.path().rsplit('/').next().unwrap_or_default();
    let is_hash = |run: &str, length| run.len() >= length && run.bytes().any(|byte| byte.is_ascii_digit());
    let in_name = name.split(|c: char| !c.is_ascii_hexdigit()).any(|run| is_hash(run, HASH_LENGTH));
    let version = asked.query().and_then(|query| query.strip_prefix("v="));
    let is_version =
        |version: &str| version.len() >= VERSION_LENGTH && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    if in_name || version.is_some_and(is_version) { CACHE_FOR_EVER } else { CACHE_AND_ASK }
}

fn with_page_headers(response: Response) -> Response {
    with_headers(
        response,
        &[
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ],
    )
}

fn with_headers(mut response: Response, headers: &[(HeaderName, &'static str)]) -> Response {
    let map: &mut HeaderMap = response.headers_mut();
    for (name, value) in headers {
        map.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
