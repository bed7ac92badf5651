//! The server's end of the wire: one builder for every service of the system, over sockets and over
//! in-process pipes, with health, reflection, limits, deadlines and a bounded drain.

mod bounds;
mod callers;
mod connections;
mod health;
mod layer;

use std::{
    collections::{BTreeSet, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use axum::response::IntoResponse;
use domain::{Error, Result};
use http::Request;
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, codegen::Service, server::NamedService, service::Routes};

use self::{callers::Callers, layer::CallLayer};
pub use self::{
    connections::{ConnectionConfig, Connections, Mortal, Tcp, tcp, tcp_with},
    health::Health,
};
use crate::places::Places;

/// Largest message in either direction. Services set it on their generated types, servers and clients:
/// `TeacherServiceServer::new(face).max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(…)`.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1_024 * 1_024;
/// How long calls may go on once the process was asked to stop.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Calls that may wait for their first answer, unless a server says otherwise. One more is answered `QueueFull`
/// at once, and so is a caller that has three for each place that is free.
const CONCURRENT_CALLS: usize = 512;
/// Open calls of one connection, streams included.
const CONCURRENT_STREAMS: u32 = 1_024;
/// Unread bytes that one stream and one connection may hold: a chunk of 1 MiB never waits for a reader.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 2 * 1_024 * 1_024;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 8 * 1_024 * 1_024;
/// Streams that a peer may open and take back before the server has looked at them.
const PENDING_RESETS: usize = 64;
/// A peer that is silent for interval + timeout is given up: within 30 s.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_BYTES: u32 = 16 * 1_024;

/// Services to be served together on one set of connections.
pub struct Server {
    name: &'static str,
    descriptor_set: &'static [u8],
    routes: Routes,
    service_names: BTreeSet<&'static str>,
    health: Health,
    callers: Callers,
    places: Places,
    web: Option<Box<dyn FnOnce(axum::Router) -> axum::Router + Send>>,
}

impl Server {
    /// A server without services. `name` is for messages (`teacher`); `descriptor_set` is what
    /// reflection answers from: `proto::FILE_DESCRIPTOR_SET`.
    pub fn new(name: &'static str, descriptor_set: &'static [u8]) -> Self {
        Self {
            name,
            descriptor_set,
            routes: Routes::default(),
            service_names: BTreeSet::new(),
            health: Health::default(),
            callers: Callers::Peers,
            places: Places::new(CONCURRENT_CALLS),
            web: None,
        }
    }

    /// Adds a generated service.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "reads as it is meant; nobody sums servers")]
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.routes = self.routes.add_service(service);
        self.service_names.insert(S::NAME);
        self
    }

    /// Takes browsers too: HTTP/1 is accepted, and `web` receives the router of all gRPC services to
    /// wrap (grpc-web, CORS) and to give a fallback (the page). Deadlines and spans are inside of it.
    /// Anybody may call now, so that `x-deeper-caller` is not believed: a layer of `web` that knows who calls
    /// puts a [`crate::call::Caller`] into the request's extensions; without one, an address is a caller.
    #[must_use]
    pub fn with_web(mut self, web: impl FnOnce(axum::Router) -> axum::Router + Send + 'static) -> Self {
        self.web = Some(Box::new(web));
        self.callers = Callers::Strangers;
        self
    }

    /// With so many places for calls that wait for their first answer: no more than the queue behind them has,
    /// so that calls without a chance are refused before their messages are read.
    #[must_use]
    pub fn places(mut self, count: usize) -> Self {
        self.places = Places::new(count);
        self
    }

    /// What health checks are told. A service is SERVING from the start of [`Server::serve`] unless it
    /// was set otherwise here.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until `shutdown` is cancelled or the connections end. Then: NOT_SERVING, no new
    /// connections, [`DRAIN`] for the calls that run, and an end to those that are left.
    pub async fn serve(self, incoming: impl Connections, shutdown: CancellationToken) -> Result<()> {
        let Self { name, descriptor_set, routes, service_names, health, callers, places, web } = self;
        let reflection = service_names
            .iter()
            .fold(tonic_reflection::server::Builder::configure(), |builder, name| builder.with_service_name(*name))
            .register_encoded_file_descriptor_set(descriptor_set)
            .build_v1()
            .map_err(Error::unexpected)?;
        let (draining, out_of_time) = (shutdown.child_token(), CancellationToken::new());
        let layer = CallLayer {
            server: name,
            methods: Arc::new(method_names(descriptor_set)?),
            draining: draining.clone(),
            out_of_time: out_of_time.clone(),
            places,
            callers,
        };
        let router = routes.add_service(health.service()).add_service(reflection).into_axum_router().layer(layer);
        let accepts_http1 = web.is_some();
        let router = web.into_iter().fold(router, |router, web| web(router));

        health.start(service_names).await;
        let stop_accepting = CancellationToken::new();
        let stopped = stop_accepting.clone().cancelled_owned();
        let builder = tonic::transport::Server::builder()
            .accept_http1(accepts_http1)
            .max_concurrent_streams(CONCURRENT_STREAMS)
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS));
        let builder = match incoming.max_age() {
            Some(age) => builder.max_connection_age(age),
            None => builder,
        };
        let serving = builder
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .http2_max_header_list_size(HEADER_BYTES)
            .serve_with_incoming_shutdown(router, incoming, stopped);
        tokio::pin!(serving);
        tokio::select! {
            outcome = &mut serving => return outcome.map_err(Error::unexpected),
            () = shutdown.cancelled() => {}
        }
        health.stop().await;
        stop_accepting.cancel();
        let Err(_) = tokio::time::timeout(DRAIN, &mut serving).await else { return Ok(()) };
        tracing::warn!(server = name, "calls were still running after the drain and are ended");
        out_of_time.cancel();
        // Their statuses need a moment to be written; whoever does not read them is not waited for.
        tokio::time::timeout(Duration::from_secs(1), serving).await.ok();
        Ok(())
    }
}

/// `package.Service/Method` of every method that may be a metric's attribute.
fn method_names(descriptor_set: &[u8]) -> Result<HashSet<String>> {
    let files = FileDescriptorSet::decode(descriptor_set).map_err(Error::unexpected)?.file;
    let mut names = HashSet::new();
    for file in &files {
        for service in &file.service {
            for method in &service.method {
                names.insert(format!("{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    Ok(names)
}
