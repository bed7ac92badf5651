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
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use tonic_web::GrpcWebLayer;
use tower::ServiceExt;
use tower_http::services::ServeDir;

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

#[derive(Clone)]
struct Sides {
    grpc: Router,
    page: Router,
}

/// Joins the router of all gRPC services with the files of a folder. Without a folder there is no page.
pub(crate) fn router(grpc: Router, page_folder: Option<PathBuf>) -> Router {
    let grpc = grpc.layer(GrpcWebLayer::new());
    let page = Router::new().route("/livez", get(|| async { "ok" }));
    let page = match page_folder {
        Some(folder) => {
            let files = ServeDir::new(folder).precompressed_br().precompressed_gzip();
            page.fallback(move |request: Request| serve_file(files.clone(), request))
        }
        None => page.fallback(|| async { (StatusCode::NOT_FOUND, "this server has no page, only the API") }),
    };
    Router::new().fallback(dispatch).with_state(Sides { grpc, page })
}

/// Everything that claims to be gRPC, of a service that we have or not, is answered as gRPC.
async fn dispatch(State(sides): State<Sides>, request: Request) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_grpc = content_type.is_some_and(|value| value.starts_with(b"application/grpc"));
    let answered = if is_grpc {
        sides.grpc.oneshot(request).await
    } else {
        sides.page.oneshot(request).await.map(with_page_headers)
    };
    answered.unwrap_or_else(|never| match never {})
}

async fn serve_file(files: ServeDir, mut request: Request) -> Response {
    let path = request.uri().path().to_owned();
    // The page's own routes, which hold its selection, have no dots; files have.
    let is_route = !path.rsplit('/').next().unwrap_or_default().contains('.');
    if is_route {
        *request.uri_mut() = Uri::from_static("/index.html");
    }
    let response = match files.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    if response.status() == StatusCode::NOT_FOUND {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    }
    with_headers(response, &[(header::CACHE_CONTROL, cache_control(&path)), (header::VARY, "accept-encoding")])
}

fn cache_control(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_hashed = name
        .split(|c: char| !c.is_ascii_hexdigit())
        .any(|run| run.len() >= HASH_LENGTH && run.bytes().any(|byte| byte.is_ascii_digit()));
    if is_hashed { CACHE_FOR_EVER } else { CACHE_AND_ASK }
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
