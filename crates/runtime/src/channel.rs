//! The client's end of the wire: calls to one service, spread over all of its replicas, that carry trace,
//! deadline and caller, and are made again where that is safe. And a pipe within one process, so that the
//! standalone system and tests call the very same services without a socket.

mod address;
mod attempt;
mod balancer;
mod body;
mod methods;
mod peer;
mod repeat;

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as TaskContext, Poll},
};

use domain::{Error, Result};
use futures::{Stream, future::BoxFuture};
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use proto::status;
use tokio::{io::DuplexStream, sync::mpsc, time::Instant};
use tonic::{Status, body::Body, transport::Endpoint};
use tower::Service;

pub use self::address::Addresses;
pub(crate) use self::repeat::jittered;
use self::{
    balancer::Balancer,
    body::Outgoing,
    peer::{Peer, windowed},
    repeat::Budget,
};
use crate::{
    call::{CALLER_HEADER, Context},
    metrics::metrics,
    timeout,
};

/// What one direction of an in-process connection holds before the writer waits.
const PIPE_BYTES: usize = 256 * 1_024;

/// Many calls to one service, cheap to clone. Generated clients take it as their transport:
/// `TeacherServiceClient::new(channel)`. Failures of the transport arrive as statuses that
/// `proto::status::to_error` reads as `UpstreamUnavailable` or `DeadlineExceeded`.
///
/// Each call goes to the replica with the fewest open calls among those that can take it. A call that
/// could not be sent is sent to another one; one whose replica died or drained is made again if its method
/// has no side effects (`idempotency_level` in the proto files), at most four times, within its deadline and
/// as long as not too many calls fail.
#[derive(Debug, Clone)]
pub struct Channel {
    inner: Arc<Inner>,
    attempts: u32,
}

struct Inner {
    service: Arc<str>,
    balancer: Balancer,
    budget: Budget,
}

/// Replicas that a call has been made to: put into a request's extensions, it makes the channel choose
/// another one while there is one. Clones share their list.
#[derive(Debug, Clone, Default)]
pub struct Tried(Arc<Mutex<Vec<Arc<str>>>>);

impl Tried {
    fn add(&self, address: &Arc<str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(address));
    }

    fn has(&self, address: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|tried| &**tried == address)
    }
}

/// A channel to `service` (for messages: `teacher`) at `addresses`: see [`Addresses`]. Connects at once and
/// again after a loss. Must be called on a tokio runtime.
pub fn connect(service: &str, addresses: &str) -> Result<Channel> {
    let addresses = Addresses::parse(service, addresses)?;
    Ok(Channel::over(service, |service| Balancer::connect(service, addresses)))
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
    let pipe = endpoint.connect_with_connector_lazy(connector);
    (Channel::over(service, |_| Balancer::fixed(Peer::fixed(pipe))), Incoming(connections))
}

impl Channel {
    fn over(service: &str, balancer: impl FnOnce(Arc<str>) -> Balancer) -> Self {
        let service: Arc<str> = service.into();
        let balancer = balancer(Arc::clone(&service));
        let inner = Inner { service, balancer, budget: Budget::default() };
        Self { inner: Arc::new(inner), attempts: repeat::ATTEMPTS }
    }

    /// Whether a call with this list would go to a replica that is not on it. Training calls are refused by
    /// replicas that take none, and asked of the next one.
    pub fn has_untried(&self, tried: &Tried) -> bool {
        self.inner.balancer.has_untried(tried)
    }

    /// The same replicas, but every call is made once: for whoever measures, or decides by itself.
    #[must_use]
    pub fn without_repeats(self) -> Self {
        Self { attempts: 1, ..self }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("service", &self.service).finish_non_exhaustive()
    }
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

    /// Always: a call waits for its replica by itself.
    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (inner, attempts) = (Arc::clone(&self.inner), self.attempts);
        let context = Context::current();
        Box::pin(async move { inner.call(request, context, attempts).await })
    }
}

impl Inner {
    /// Makes a call, and makes it again where that is safe and may help.
    async fn call(&self, request: Request<Body>, context: Context, attempts: u32) -> Result<Response<Body>, Status> {
        let (mut head, body) = request.into_parts();
        let method = methods::of(head.uri.path());
        let deadline = match timeout::read(&head.headers) {
            Ok(Some(limit)) => Instant::now().checked_add(limit),
            Ok(None) => context.deadline,
            // The server says what is wrong with it.
            Err(_) => None,
        };
        if let (Some(caller), false) = (context.caller.header(), head.headers.contains_key(CALLER_HEADER)) {
            head.headers.insert(CALLER_HEADER, caller);
        }
        let tried: Tried = head.extensions.get().cloned().unwrap_or_default();
        let mut body = Outgoing::of(method, body).await?;
        let mut pause = repeat::FIRST_PAUSE;
        for attempt in 1.. {
            if let Some(deadline) = deadline {
                if deadline <= Instant::now() {
                    return Err(status::from_error(Error::DeadlineExceeded));
                }
                head.headers.insert(timeout::TIMEOUT_HEADER, timeout::write(deadline));
            }
            let Some(message) = body.take() else { break };
            let request = Request::from_parts(head.clone(), message);
            let outcome = self.attempt(request, method, &tried, deadline).await;
            let wanted = outcome.wait_before_repeat(method, &self.service, pause);
            self.budget.learn(outcome.was_answered());
            let (Some(wait), true) = (wanted, body.is_there() && attempt < attempts) else {
                return outcome.response;
            };
            // Another replica is asked at once, the same one after a pause.
            let wait = repeat::jittered(if self.balancer.has_untried(&tried) { repeat::SWITCH_PAUSE } else { wait });
            let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now() + wait);
            if is_late || !self.budget.allows() {
                return outcome.response;
            }
            metrics().call_repeated(&self.service);
            tracing::debug!(service.peer.name = &*self.service, attempt, "a call is made again");
            tokio::time::sleep(wait).await;
            pause = repeat::longer(pause);
        }
        Err(status::from_error(Error::UpstreamUnavailable { service: self.service.to_string() }))
    }
}
