//! A response body that closes its call's observation, and that may be ended from outside.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use http::HeaderMap;
use http_body::{Body, Frame};
use tonic::{Code, Status, body::Body as TonicBody, codegen::Bytes};

use super::{Observation, code_of};

/// A response body that closes its observation when it ends, and that may be ended from outside.
pub(crate) struct ObservedBody<E> {
    inner: TonicBody,
    observation: Observation,
    ending: E,
    ended: bool,
}

/// What may end a body before its own end, and what becomes of its failures.
pub(crate) trait Ending: Unpin + Send + 'static {
    /// Ready when the body must end now.
    fn poll_end(&mut self, task: &mut TaskContext<'_>) -> Poll<Status>;

    /// The typed twin of a transport's failure.
    fn failure(&self, status: Status) -> Status;

    /// What surrounds each poll of the body.
    fn enter<T>(&self, poll: impl FnOnce() -> T) -> T {
        poll()
    }
}

impl<E> ObservedBody<E> {
    /// `headers` are the response's: a call that fails at once has its status there.
    pub(crate) fn new(inner: TonicBody, headers: &HeaderMap, mut observation: Observation, ending: E) -> Self {
        if let Some(code) = code_of(headers) {
            observation.finish(code);
        }
        Self { inner, observation, ending, ended: false }
    }
}

impl<E: Ending> Body for ObservedBody<E> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let span = this.observation.span.clone();
        let inner = Pin::new(&mut this.inner);
        let polled = this.ending.enter(|| span.in_scope(|| inner.poll_frame(task)));
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.observation.finish(code_of(trailers).unwrap_or(Code::Unknown));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(status))) => {
                let status = this.ending.failure(status);
                this.observation.finish(status.code());
                this.ended = true;
                Poll::Ready(Some(Err(status)))
            }
            Poll::Ready(None) => {
                this.observation.finish(Code::Ok);
                this.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Poll::Ready(status) = this.ending.poll_end(task) else { return Poll::Pending };
                this.observation.finish(status.code());
                this.ended = true;
                let mut trailers = HeaderMap::new();
                match status.add_header(&mut trailers) {
                    Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                    Err(status) => Poll::Ready(Some(Err(status))),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
