//! Around every call: its span under the caller's trace, its deadline as a token that also covers the
//! stream of answers, and an end when the process runs out of time to drain.

use std::{
    collections::HashSet,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use axum::{body::Body as AxumBody, extract::Request, response::Response};
use domain::{Error, Result};
use futures::future::BoxFuture;
use http::HeaderMap;
use opentelemetry::global;
use proto::status;
use tokio::{sync::Semaphore, task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    call::Context,
    observe::{Ending, Headers, Observation, ObservedBody, Side},
};

/// An answer leaves this long before the caller stops listening, so that it arrives; a tenth of the
/// time for shorter deadlines. It also is ahead of tonic's own timer, which knows no details.
const MARGIN: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub(super) struct CallLayer {
    pub(super) server: &'static str,
    pub(super) methods: Arc<HashSet<String>>,
    pub(super) draining: CancellationToken,
    pub(super) out_of_time: CancellationToken,
    /// One for each call that waits for its first answer. Streams give theirs back with the headers:
    /// a thousand idle watchers cost no compute.
    pub(super) places: Arc<Semaphore>,
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

        let deadline = match deadline(request.headers()) {
            Ok(deadline) => deadline,
            Err(error) => return Box::pin(std::future::ready(Ok(refusal(error, observation)))),
        };
        let context = Context {
            deadline,
            cancellation: self.layer.out_of_time.child_token(),
            draining: self.layer.draining.clone(),
        };
        request.extensions_mut().insert(context.clone());
        let mut bounds = Bounds::new(self.layer.server, context);
        if bounds.context.check().is_err() {
            return Box::pin(std::future::ready(Ok(refusal(bounds.reason(), observation))));
        }
        let Ok(place) = Arc::clone(&self.layer.places).try_acquire_owned() else {
            let error = Error::QueueFull { engine: self.layer.server.to_owned(), retry_after_ms: 1_000 };
            return Box::pin(std::future::ready(Ok(refusal(error, observation))));
        };
        let answered = self.inner.call(request);
        let span = observation.span.clone();
        let call = async move {
            let _place = place;
            let response = tokio::select! {
                biased;
                response = answered => response?,
                () = &mut bounds.cancelled => return Ok(refusal(bounds.reason(), observation)),
            };
            let (mut parts, body) = response.into_parts();
            complete(&mut parts.headers);
            let body = ObservedBody::new(Body::new(body), &parts.headers, observation, bounds);
            Ok(Response::from_parts(parts, AxumBody::new(body)))
        };
        Box::pin(call.instrument(span))
    }
}

/// Failures that the library answers by itself (an unknown method, a message that is too large) get
/// the details that every failure of ours has.
fn complete(headers: &mut HeaderMap) {
    if let Some(failure) = Status::from_header_map(headers).filter(|status| status.code() != Code::Ok) {
        // The same code and message again, so nothing can be refused that was a header before.
        status::complete(failure).add_header(headers).ok();
    }
}

fn refusal(error: Error, mut observation: Observation) -> Response {
    let status = status::from_error(error);
    observation.finish(status.code());
    status.into_http::<AxumBody>()
}

/// Ends a call's work when the caller leaves (drop), when its time is up, or with the process.
struct Bounds {
    server: &'static str,
    context: Context,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Cancels the token at the deadline even while nobody polls the answers.
    timer: Option<JoinHandle<()>>,
    _left: DropGuard,
}

impl Bounds {
    fn new(server: &'static str, context: Context) -> Self {
        let timer = context.deadline.map(|deadline| {
            let cancellation = context.cancellation.clone();
            tokio::spawn(async move {
                tokio::time::sleep_until(deadline).await;
                cancellation.cancel();
            })
        });
        let cancelled = Box::pin(context.cancellation.clone().cancelled_owned());
        let left = context.cancellation.clone().drop_guard();
        Self { server, context, cancelled, timer, _left: left }
    }

    fn reason(&self) -> Error {
        match self.context.check() {
            Err(Error::DeadlineExceeded) => Error::DeadlineExceeded,
            _ if self.context.draining.is_cancelled() => {
                Error::UpstreamUnavailable { service: self.server.to_owned() }
            }
            _ => Error::Cancelled,
        }
    }
}

impl Drop for Bounds {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

impl Ending for Bounds {
    fn poll_end(&mut self, task: &mut TaskContext<'_>) -> Poll<Status> {
        self.cancelled.as_mut().poll(task).map(|()| status::from_error(self.reason()))
    }

    fn failure(&self, status: Status) -> Status {
        status
    }
}

/// When the work must be done, from `grpc-timeout`: at most eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Result<Option<Instant>> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let timeout = value
        .to_str()
        .ok()
        .and_then(parse_timeout)
        .ok_or_else(|| Error::invalid("grpc-timeout", "is not one to eight digits and one of H, M, S, m, u, n"))?;
    let margin = MARGIN.min(timeout / 10);
    Ok(Instant::now().checked_add(timeout - margin))
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse_timeout("0S"), Some(Duration::ZERO));
        for wrong in ["", "S", "10", "123456789S", "-1S", "+1S", "1.5S", "1x", "1é"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }
}
