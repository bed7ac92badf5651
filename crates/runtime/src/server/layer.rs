//! Around every call: its span under the caller's trace, its deadline as a token that also covers the
//! stream of answers, and an end when the process runs out of time to drain.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use axum::{body::Body as AxumBody, extract::Request, response::Response};
use domain::{Error, Result};
use futures::future::BoxFuture;
use http::HeaderMap;
use opentelemetry::global;
use proto::status;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    bounds::{Bounds, deadline},
    callers::Callers,
};
use crate::{
    call::Context,
    observe::{Headers, Observation, ObservedBody, Side},
    places::Places,
};

#[derive(Clone)]
pub(super) struct CallLayer {
    pub(super) server: &'static str,
    pub(super) methods: Arc<HashSet<String>>,
    pub(super) draining: CancellationToken,
    pub(super) out_of_time: CancellationToken,
    /// One for each call that waits for its first answer; a call without one is refused before its message is
    /// read, which is cheap, however many come. Streams give theirs back with the headers:
    /// a thousand idle watchers cost no compute.
    pub(super) places: Places,
    pub(super) callers: Callers,
}

#[derive(Clone)]
pub(super) struct Call<S> {
    inner: S,
    layer: CallLayer,
}

impl<S> Layer<S> for CallLayer {
    type Service = Call<S>;

    fn layer(&self, inner: S) -> Call<S> {
        Call { inner, layer: self.clone() }
    }
}

impl<S> Service<Request> for Call<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let path = request.uri().path().trim_start_matches('/');
        let is_housekeeping = path.starts_with("grpc.");
        let is_known = is_housekeeping || self.layer.methods.contains(path);
        // A name that a stranger made up must not become a new series in the metrics.
        let mut observation = Observation::start(Side::Server, if is_known { path } else { "_OTHER" });
        if is_housekeeping {
            observation.ignore();
        }
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request.headers())));
        // Refused only when nothing exports traces; then there is nothing to join.
        observation.span.set_parent(parent).ok();

        let caller = self.layer.callers.of(request.headers(), request.extensions());
        let (deadline, caller) = match deadline(request.headers()).and_then(|deadline| Ok((deadline, caller?))) {
            Ok(read) => read,
            Err(error) => return Box::pin(std::future::ready(Ok(refusal(error, observation)))),
        };
        let context = Context {
            deadline,
            cancellation: self.layer.out_of_time.child_token(),
            draining: self.layer.draining.clone(),
            caller,
        };
        request.extensions_mut().insert(context.clone());
        let mut bounds = Bounds::new(self.layer.server, context.clone());
        if bounds.have_ended() {
            return Box::pin(std::future::ready(Ok(refusal(bounds.reason(), observation))));
        }
        let Some(place) = self.layer.places.take(&context.caller) else {
            let error = Error::QueueFull { engine: self.layer.server.to_owned(), retry_after_ms: 1_000 };
            return Box::pin(std::future::ready(Ok(refusal(error, observation))));
        };
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let answered = context.scope(self.inner.call(request));
        let span = observation.span.clone();
        let call = async move {
            let _place = place;
            let response = tokio::select! {
                biased;
                response = answered => response?,
                () = &mut bounds.cancelled => return Ok(refusal(bounds.reason(), observation)),
            };
            let (mut parts, body) = response.into_parts();
            complete(&mut parts.headers, &method);
            let body = ObservedBody::new(Body::new(body), &parts.headers, observation, bounds);
            Ok(Response::from_parts(parts, AxumBody::new(body)))
        };
        Box::pin(call.instrument(span))
    }
}

/// Failures that the library answers by itself (an unknown method, a message that is too large) get
/// the details that every failure of ours has.
fn complete(headers: &mut HeaderMap, method: &str) {
    if let Some(failure) = Status::from_header_map(headers).filter(|status| status.code() != Code::Ok) {
        // Texts are percent-encoded and details in base64, so nothing of it can be refused as a header.
        status::complete(failure, method).add_header(headers).ok();
    }
}

fn refusal(error: Error, mut observation: Observation) -> Response {
    let status = status::from_error(error);
    observation.finish(status.code());
    status.into_http::<AxumBody>()
}
