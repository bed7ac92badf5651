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

use crate::{call::Context, observe::Ending};

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
}

/// When the work must be done, from `grpc-timeout`: at most eight digits and a unit.
pub(super) fn deadline(headers: &HeaderMap) -> Result<Option<Instant>> {
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
