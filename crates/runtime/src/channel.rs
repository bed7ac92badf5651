//! The client's end of the wire: lazy connections that carry trace and deadline, and a pipe within
//! one process, so that the standalone system and tests call the very same services without a socket.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use domain::{Error, Result};
use futures::{Stream, future::BoxFuture};
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry::global;
use proto::status;
use tokio::{io::DuplexStream, sync::mpsc};
use tonic::{Status, TimeoutExpired, body::Body, transport::Endpoint};
use tower::Service;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    observe::{Ending, Headers, Observation, ObservedBody, Side},
    server::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES},
};

/// How long a connection may take to come up before the call is `UpstreamUnavailable`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that is silent for interval + timeout is given up: within 25 s.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// What one direction of an in-process connection holds before the writer waits.
const PIPE_BYTES: usize = 256 * 1_024;

/// Many calls to one service over one connection, cheap to clone. Generated clients take it as their
/// transport: `TeacherServiceClient::new(channel)`. Failures of the transport arrive as statuses that
/// `proto::status::to_error` reads as `UpstreamUnavailable` or `DeadlineExceeded`.
#[derive(Debug, Clone)]
pub struct Channel {
    inner: tonic::transport::Channel,
    service: Arc<str>,
}

/// A channel to `service` (for messages: `teacher`) at `address` (`http://host:port`). Connects with
/// the first call and again after a loss. Must be called on a tokio runtime.
pub fn connect(service: &str, address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|error| Error::invalid(service, format!("{address:?} is not an address: {error}")))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(Channel { inner: windowed(endpoint).connect_lazy(), service: service.into() })
}

/// A channel to a service of this process, and the connections that its `serve` takes.
pub fn in_process(service: &str) -> (Channel, Incoming) {
    let (sender, connections) = mpsc::channel(8);
    let connector = tower::service_fn(move |_: http::Uri| {
        let sender = sender.clone();
        async move {
            let (client, server) = tokio::io::duplex(PIPE_BYTES);
            let gone = |_| io::Error::new(io::ErrorKind::ConnectionRefused, "the service has ended");
            sender.send(server).await.map_err(gone)?;
            Ok::<_, io::Error>(TokioIo::new(client))
        }
    });
    let endpoint = windowed(Endpoint::from_static("http://in-process"));
    let inner = endpoint.connect_with_connector_lazy(connector);
    (Channel { inner, service: service.into() }, Incoming(connections))
}

fn windowed(endpoint: Endpoint) -> Endpoint {
    endpoint.initial_stream_window_size(STREAM_WINDOW_BYTES).initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}

/// Connections made by [`in_process`]; ends when the last clone of the channel is gone.
#[derive(Debug)]
pub struct Incoming(mpsc::Receiver<DuplexStream>);

impl Stream for Incoming {
    type Item = io::Result<DuplexStream>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(task).map(|connection| connection.map(Ok))
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), Status>> {
        let service = &self.service;
        self.inner.poll_ready(task).map_err(|error| transport_failure(Status::from_error(error.into()), service))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let mut observation = Observation::start(Side::Client, request.uri().path().trim_start_matches('/'));
        let trace = observation.span.context();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&trace, &mut Headers(request.headers_mut()));
        });
        let answered = self.inner.call(request);
        let service = Arc::clone(&self.service);
        let span = observation.span.clone();
        let call = async move {
            let response = answered.await.map_err(|error| {
                let status = transport_failure(Status::from_error(error.into()), &service);
                observation.finish(status.code());
                status
            })?;
            let (parts, body) = response.into_parts();
            let body = ObservedBody::new(body, &parts.headers, observation, Transport { service });
            Ok(Response::from_parts(parts, Body::new(body)))
        };
        Box::pin(call.instrument(span))
    }
}

/// A client's body ends by itself; what fails in it is the transport.
struct Transport {
    service: Arc<str>,
}

impl Ending for Transport {
    fn poll_end(&mut self, _: &mut TaskContext<'_>) -> Poll<Status> {
        Poll::Pending
    }

    fn failure(&self, status: Status) -> Status {
        transport_failure(status, &self.service)
    }
}

/// A status that this end made up because of a failed connection, in our vocabulary.
fn transport_failure(status: Status, service: &str) -> Status {
    let mut cause = std::error::Error::source(&status);
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return status::from_error(Error::DeadlineExceeded);
        }
        cause = error.source();
    }
    tracing::debug!(peer.service = service, error = %status, "the transport failed");
    status::from_error(Error::UpstreamUnavailable { service: service.to_owned() })
}
