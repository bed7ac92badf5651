//! One RPC's span and duration, for both ends of the wire: opened with the request, closed when the
//! last trailer is seen or the call is dropped. Names follow OpenTelemetry's RPC conventions.

mod body;

use std::{sync::Arc, time::Instant};

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};
use tonic::Code;
use tracing::{Span, field::Empty, info_span};

pub(crate) use self::body::{Ending, ObservedBody};
use crate::metrics::metrics;

/// Which end of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    /// Of this service, however many replicas it has.
    Client {
        service: Arc<str>,
    },
}

/// An open call. Dropping it before [`Observation::finish`] closes it as cancelled.
#[derive(Debug)]
pub(crate) struct Observation {
    side: Side,
    method: String,
    started_at: Instant,
    finished: bool,
    pub(crate) span: Span,
}

impl Observation {
    /// `method` is `package.Service/Method`.
    pub(crate) fn start(side: Side, method: &str) -> Self {
        let kind = if side == Side::Server { "server" } else { "client" };
        let service = match &side {
            Side::Server => None,
            Side::Client { service } => Some(&**service),
        };
        let span = info_span!(
            "rpc",
            otel.name = method,
            otel.kind = kind,
            otel.status_code = Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            server.address = service,
            rpc.status_code = Empty,
            error.type = Empty,
        );
        Self { side, method: method.to_owned(), started_at: Instant::now(), finished: false, span }
    }

    /// Makes the call invisible: health checks come every few seconds and tell nothing.
    pub(crate) fn ignore(&mut self) {
        self.finished = true;
        self.span = Span::none();
    }

    /// Closes the call with its status code.
    pub(crate) fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        // Closed right here, not when the library lets go of the body: that may be after the flush.
        let span = std::mem::replace(&mut self.span, Span::none());
        let name = code_name(code);
        span.record("rpc.status_code", name);
        let error = self.is_error(code).then_some(name);
        if let Some(error) = error {
            span.record("error.type", error);
            span.record("otel.status_code", "ERROR");
        }
        let seconds = self.started_at.elapsed().as_secs_f64();
        metrics().call_ended(&self.side, &self.method, seconds, name, error);
        tracing::debug!(parent: &span, rpc.status_code = name, seconds, "call ended");
    }

    /// A caller's mistake is no error of the server's.
    fn is_error(&self, code: Code) -> bool {
        match self.side {
            Side::Client { .. } => code != Code::Ok,
            Side::Server => matches!(
                code,
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            ),
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.finish(Code::Cancelled);
    }
}

fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// The name of a code as on the wire's documentation: `DEADLINE_EXCEEDED`.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// W3C trace context in and out of headers.
pub(crate) struct Headers<H>(pub(crate) H);

impl Extractor for Headers<&HeaderMap> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

impl Injector for Headers<&mut HeaderMap> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(key), http::HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
