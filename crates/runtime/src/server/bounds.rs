//! What bounds one call on the server: its deadline, its caller's presence, the process's drain.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use domain::{Error, Result};
use http::HeaderMap;
use proto::status;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{DropGuard, WaitForCancellationFutureOwned};
use tonic::Status;

use crate::{call::Context, observe::Ending, timeout};

/// An answer leaves this long before the caller stops listening, so that it arrives; a tenth of the
/// time for shorter deadlines. It also is ahead of tonic's own timer, which knows no details.
const MARGIN: Duration = Duration::from_millis(5);

/// Ends a call's work when the caller leaves (drop), when its time is up, or with the process.
pub(super) struct Bounds {
    server: &'static str,
    context: Context,
    /// Ready when the call must end, for whatever reason.
    pub(super) cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Cancels the token at the deadline even while nobody polls the answers.
    timer: Option<JoinHandle<()>>,
    _left: DropGuard,
}

impl Bounds {
    pub(super) fn new(server: &'static str, context: Context) -> Self {
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

    /// Whether there is no time left to begin.
    pub(super) fn have_ended(&self) -> bool {
        self.context.check().is_err()
    }

    /// What the caller is told when the call must end.
    pub(super) fn reason(&self) -> Error {
        match self.context.check() {
            Err(Error::DeadlineExceeded) => Error::DeadlineExceeded,
            _ if self.context.draining.is_cancelled() => Error::UpstreamUnavailable { service: self.server.to_owned() },
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

    fn enter<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.context.enter(poll)
    }
}

/// When the work must be done, from `grpc-timeout`.
pub(super) fn deadline(headers: &HeaderMap) -> Result<Option<Instant>> {
    let Some(timeout) = timeout::read(headers)? else { return Ok(None) };
    let margin = MARGIN.min(timeout / 10);
    Ok(Instant::now().checked_add(timeout - margin))
}
