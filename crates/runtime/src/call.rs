//! What a call's work may know of the call: how long it may take and whether anybody still waits.
//! The server's layer makes it, handlers ask for it, and clients send on what is left of it.

use std::{future::Future, time::Duration};

use domain::{Error, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Request;

pub use crate::caller::{CALLER_HEADER, Caller};

tokio::task_local! {
    /// The call that this task works for. Set by the server around handlers and around each poll of their
    /// streams, and by [`Context::scope`]; read by channels and engines. A task that is spawned has none.
    static CURRENT: Context;
}

/// The bounds of one call. A stream's context lives until the stream's last message is sent.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// When the caller stops waiting; `None` if it did not say.
    pub deadline: Option<Instant>,
    /// Cancelled when the caller has left, when the deadline has passed, when the process has no more
    /// time to drain, and when the call is over. Long work checks it per batch and per epoch; work that
    /// outlives its call has a [`Context::detached`] one.
    pub cancellation: CancellationToken,
    /// Cancelled when the process begins to drain. Endless streams end on it; bounded work goes on.
    pub draining: CancellationToken,
    /// On whose behalf: engines take turns between callers.
    pub caller: Caller,
}

impl Context {
    /// The context of a request that came through [`crate::server::Server`]; one that never ends for
    /// a request that did not, as in a unit test.
    pub fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// A context for work that outlives its call, such as an operation: only this token ends it.
    pub fn detached(cancellation: CancellationToken) -> Self {
        Self { cancellation, ..Self::default() }
    }

    /// The context that this task works in; one that never ends outside of any.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs `work` in this context: calls that it makes carry the deadline and the caller on, and its jobs
    /// queue under the caller's name.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// As [`Context::scope`], for one poll or a plain function.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), work)
    }

    /// For work that outlives its call or is shared with others: the same caller, and nobody's deadline.
    pub fn unbounded(&self) -> Self {
        Self { caller: self.caller.clone(), ..Self::default() }
    }

    /// The same context with a deadline at most `limit` from now.
    pub fn within(&self, limit: Duration) -> Self {
        let latest = Instant::now() + limit;
        let deadline = self.deadline.map_or(latest, |deadline| deadline.min(latest));
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Time left; `None` without a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Why the work should end, if it should: `context.check()?` between two batches.
    pub fn check(&self) -> Result<()> {
        if self.remaining().is_some_and(|left| left.is_zero()) {
            Err(Error::DeadlineExceeded)
        } else if self.cancellation.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Waits until the work should end and says why.
    pub async fn ended(&self) -> Error {
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = deadline => Error::DeadlineExceeded,
            () = self.cancellation.cancelled() => self.check().err().unwrap_or(Error::Cancelled),
        }
    }

    /// Runs `work` to its end or to the context's, whichever is first.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            outcome = work => outcome,
            error = self.ended() => Err(error),
        }
    }

    /// A request to another service that carries what is left of the deadline.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(left) = self.remaining() {
            request.set_timeout(left);
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_the_deadline_is_sent_on() {
        let context = Context::default().within(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(4)).await;
        let request = context.within(Duration::from_secs(60)).request(());
        assert_eq!(request.metadata().get("grpc-timeout").unwrap(), "6000000u");
    }

    #[tokio::test]
    async fn a_scope_is_seen_by_its_task_and_not_by_those_it_spawns() {
        let caller = Caller::new("ada").unwrap();
        let context = Context { caller: caller.clone(), ..Context::default() }.within(Duration::from_secs(1));
        context
            .scope(async {
                assert_eq!(Context::current().caller, caller);
                assert!(Context::current().deadline.is_some());
                let carried = Context::current().unbounded();
                let spawned = tokio::spawn(async { Context::current().caller }).await.unwrap();
                assert!(spawned.is_anonymous());
                assert_eq!(carried.enter(|| Context::current().caller), caller);
                assert_eq!(carried.deadline, None);
            })
            .await;
        assert!(Context::current().caller.is_anonymous());
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_with_its_context() {
        let context = Context::default().within(Duration::from_secs(1));
        assert_eq!(context.run(std::future::pending::<Result<()>>()).await, Err(Error::DeadlineExceeded));
        assert_eq!(context.check(), Err(Error::DeadlineExceeded));
        let context = Context::default();
        context.cancellation.cancel();
        assert_eq!(context.run(std::future::pending::<Result<()>>()).await, Err(Error::Cancelled));
        assert_eq!(context.run(async { Ok(1) }).await, Ok(1));
    }
}
