//! One try of a call: its span, its replica, its answer.

use std::{
    error::Error as StdError,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use domain::Error;
use http::{Request, Response};
use opentelemetry::global;
use proto::status;
use tokio::time::{Instant, Sleep};
use tonic::{Code, ConnectError, Status, TimeoutExpired, body::Body};
use tower::{Service, ServiceExt};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Inner, Tried, balancer::Picked, body::read_to_end, methods::Method, repeat};
use crate::observe::{Ending, Headers, Observation, ObservedBody, Side};

/// How much longer than its deadline an answer is waited for: the server's own word is better than ours.
const GRACE: Duration = Duration::from_millis(50);

/// How a try ended.
pub(super) struct Outcome {
    pub(super) response: Result<Response<Body>, Status>,
    /// The failure that is known so far: of the transport, of an answer without a message, or of a whole one.
    failure: Option<Status>,
    /// Whether the server may have seen it.
    was_sent: bool,
}

impl Outcome {
    fn failed(failure: Status, was_sent: bool) -> Self {
        Self { response: Err(failure.clone()), failure: Some(failure), was_sent }
    }

    /// Whether a server is there and has room, whatever it says.
    pub(super) fn was_answered(&self) -> bool {
        let code = self.failure.as_ref().map_or(Code::Ok, Status::code);
        self.was_sent && !matches!(code, Code::Unavailable | Code::ResourceExhausted)
    }

    /// See [`repeat::wait`].
    pub(super) fn wait_before_repeat(
        &self,
        method: Option<Method>,
        service: &str,
        pause: Duration,
    ) -> Option<Duration> {
        let failure = self.failure.as_ref()?;
        repeat::wait(&status::to_error(failure), self.was_sent, method, service, pause)
    }
}

impl Inner {
    /// Sends the call to the best replica that it was not sent to before.
    pub(super) async fn attempt(
        &self,
        mut request: Request<Body>,
        method: Option<Method>,
        tried: &Tried,
        deadline: Option<Instant>,
    ) -> Outcome {
        let side = Side::Client { service: Arc::clone(&self.service) };
        let mut observation = Observation::start(side, request.uri().path().trim_start_matches('/'));
        let trace = observation.span.context();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&trace, &mut Headers(request.headers_mut()));
        });
        let span = observation.span.clone();
        let sent = async {
            let Some(picked) = self.balancer.acquire(tried, deadline).await else {
                let gone = Error::UpstreamUnavailable { service: self.service.to_string() };
                let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
                return Err((status::from_error(if is_late { Error::DeadlineExceeded } else { gone }), false));
            };
            tried.add(&picked.address());
            let mut channel = picked.channel.clone();
            let answered = async { channel.ready().await?.call(request).await };
            match answered.await {
                Ok(response) => Ok((response, picked)),
                Err(error) => {
                    let was_sent = !is_unsent(&error);
                    Err((self.transport_failure(Status::from_error(error.into()), &picked), was_sent))
                }
            }
        };
        let (response, picked) = match sent.instrument(span).await {
            Ok(answered) => answered,
            Err((failure, was_sent)) => {
                observation.finish(failure.code());
                return Outcome::failed(failure, was_sent);
            }
        };
        let (head, body) = response.into_parts();
        let at_once = Status::from_header_map(&head.headers).filter(|status| status.code() != Code::Ok);
        let transport = Transport {
            service: Arc::clone(&self.service),
            picked,
            too_late: deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline + GRACE))),
        };
        let body = Body::new(ObservedBody::new(body, &head.headers, observation, transport));
        if at_once.is_some() || method.is_none_or(|method| method.streams_out) {
            return Outcome { response: Ok(Response::from_parts(head, body)), failure: at_once, was_sent: true };
        }
        match read_to_end(body).await {
            Ok((body, answered)) => {
                let failure = answered.filter(|status| status.code() != Code::Ok);
                Outcome { response: Ok(Response::from_parts(head, body)), failure, was_sent: true }
            }
            Err(failure) => Outcome::failed(failure, true),
        }
    }

    fn transport_failure(&self, status: Status, picked: &Picked) -> Status {
        transport_failure(status, &self.service, picked)
    }
}

/// A client's body ends by itself or with its deadline; what fails in it is the transport. Counts as an open
/// call of its replica until it is dropped.
struct Transport {
    service: Arc<str>,
    picked: Picked,
    too_late: Option<Pin<Box<Sleep>>>,
}

impl Ending for Transport {
    fn poll_end(&mut self, task: &mut TaskContext<'_>) -> Poll<Status> {
        let Some(too_late) = &mut self.too_late else { return Poll::Pending };
        too_late.as_mut().poll(task).map(|()| status::from_error(Error::DeadlineExceeded))
    }

    fn failure(&self, status: Status) -> Status {
        transport_failure(status, &self.service, &self.picked)
    }
}

/// A status that this end made up because of a failed connection, in our vocabulary.
fn transport_failure(status: Status, service: &str, picked: &Picked) -> Status {
    if chain(&status).any(|error| error.is::<TimeoutExpired>()) {
        return status::from_error(Error::DeadlineExceeded);
    }
    tracing::debug!(service.peer.name = service, peer.address = &*picked.address(), error = %status, "the transport failed");
    picked.lost();
    status::from_error(Error::UpstreamUnavailable { service: service.to_owned() })
}

/// Whether the request cannot have left: there was no connection, or it closed before the request's turn.
fn is_unsent(error: &tonic::transport::Error) -> bool {
    let is_canceled = |error: &hyper::Error| error.is_canceled();
    chain(error).any(|error| error.is::<ConnectError>() || error.downcast_ref().is_some_and(is_canceled))
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}
