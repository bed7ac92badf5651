//! What stands between callers and a Redis that does not answer: a limit on every call, and a breaker that
//! opens with the first failure. The prober closes it, so that no caller has to try.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult};
use domain::{Error, Result};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout},
};

use super::{
    Limits,
    address::Address,
    failure::Failure,
    link::{Link, Links},
};
use crate::store::metrics;

/// A Redis that is full or read-only is not written to for so long.
const WRITING_PAUSE: Duration = Duration::from_secs(1);
/// What one attempt to reach Redis may take in all, its name and every node of a cluster included.
const REACH_LIMIT: Duration = Duration::from_secs(2);

/// The way to Redis, or around it.
pub(super) struct Guard {
    address: Address,
    pub(super) limits: Limits,
    /// Written by the prober, read by every call.
    links: Mutex<Option<Links>>,
    /// Whether the breaker is closed: Redis is asked. Opened by calls that fail, closed by the prober.
    closed: watch::Sender<bool>,
    /// Calls under way.
    places: Semaphore,
    /// Written by writes that Redis refuses.
    writes_from: Mutex<Option<Instant>>,
    /// Wakes the prober.
    pub(super) failed: Notify,
}

impl Guard {
    /// Nothing is connected yet.
    pub(super) fn new(address: Address, limits: Limits) -> Self {
        Self {
            address,
            limits,
            links: Mutex::default(),
            closed: watch::Sender::new(false),
            places: Semaphore::new(limits.concurrency),
            writes_from: Mutex::default(),
            failed: Notify::new(),
        }
    }

    /// The first connection. Redis not being there is no error, being refused is.
    pub(super) async fn connect_at_start(&self) -> Result<()> {
        let Err(error) = self.reach().await else { return Ok(()) };
        let address = &self.address;
        if Failure::of(&error) == Failure::Refused {
            let description = format!("the cache at {address} refuses user, password or certificate: {error}");
            return Err(Error::invalid("--cache-url", description));
        }
        tracing::warn!(cache.address = %address, %error, "the shared cache cannot be reached; computing without it");
        metrics::available(false);
        self.failed.notify_one();
        Ok(())
    }

    /// Whether Redis is asked.
    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Waits until Redis is asked.
    pub(super) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender is this guard's own.
        closed.wait_for(|closed| *closed).await.ok();
    }

    /// Sends commands that somebody waits for.
    pub(super) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Option<T> {
        let link = self.links()?.small;
        self.call(link, Request::Many(commands), self.limits.answer, |failure| self.failed_with(failure)).await
    }

    /// Sends a small write. A Redis that refuses it is not written to for a while, but still read.
    pub(super) async fn write<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let link = self.writing_links()?.small;
        self.call(link, Request::One(command), self.limits.answer, |failure| self.failed_with(failure)).await
    }

    /// Sends a large write, which nobody waits for. Its failure says nothing about small calls.
    pub(super) async fn write_large<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let link = self.writing_links()?.large;
        let failed = |failure: Failure| {
            self.pause_writes(failure.name());
        };
        self.call(link, Request::One(command), self.limits.large, failed).await
    }

    /// Draws the consequence of a failure that came with an answer to [`Guard::ask`].
    pub(super) fn judge(&self, error: &RedisError) {
        self.failed_with(Failure::of(error).count());
    }

    async fn call<T: FromRedisValue>(
        &self,
        mut link: Link,
        request: Request<'_>,
        limit: Duration,
        failed: impl Fn(Failure) + Send,
    ) -> Option<T> {
        let Ok(Ok(_place)) = timeout(self.limits.place, self.places.acquire()).await else {
            // We are busy, not Redis.
            metrics::failed("busy");
            return None;
        };
        let answered = timeout(limit, request.send(&mut link)).await;
        match answered {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                failed(Failure::of(&error).count());
                None
            }
            Err(_) => {
                failed(Failure::Down("timeout").count());
                None
            }
        }
    }

    fn links(&self) -> Option<Links> {
        self.is_closed().then(|| self.links.lock().unwrap_or_else(PoisonError::into_inner).clone()).flatten()
    }

    fn writing_links(&self) -> Option<Links> {
        let writes_from = *self.writes_from.lock().unwrap_or_else(PoisonError::into_inner);
        if writes_from.is_some_and(|from| Instant::now() < from) { None } else { self.links() }
    }

    fn failed_with(&self, failure: Failure) {
        match failure {
            Failure::Down(why) => self.open(why),
            Failure::Refused => self.open("refused"),
            Failure::NotWriting(why) => self.pause_writes(why),
            Failure::Key => {}
        }
    }

    fn open(&self, why: &'static str) {
        if self.closed.send_if_modified(|closed| std::mem::replace(closed, false)) {
            let address = &self.address;
            tracing::warn!(cache.address = %address, error.type = why, "the shared cache is passed over");
            metrics::available(false);
            self.failed.notify_one();
        }
    }

    /// New connections may lead to one that writes: a replica may have taken the place of the one before.
    fn pause_writes(&self, why: &'static str) {
        let mut writes_from = self.writes_from.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if writes_from.is_none_or(|from| from <= now) {
            tracing::warn!(cache.address = %self.address, error.type = why, "the shared cache is not written to");
            *writes_from = Some(now + WRITING_PAUSE);
            self.failed.notify_one();
        }
    }

    /// Makes new connections and lets callers through.
    pub(super) async fn reach(&self) -> RedisResult<()> {
        let opened = timeout(REACH_LIMIT, Links::open(&self.address, &self.limits)).await;
        let links = opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = Some(links);
        if self.closed.send_if_modified(|closed| !std::mem::replace(closed, true)) {
            tracing::info!(cache.address = %self.address, "the shared cache answers");
            metrics::available(true);
        }
        Ok(())
    }

    /// Being refused needs somebody's hand; everything else may pass.
    pub(super) fn still_failing(&self, error: &RedisError) {
        let failure = Failure::of(error).count();
        self.open(failure.name());
        let address = &self.address;
        if failure == Failure::Refused {
            tracing::error!(cache.address = %address, %error, "the shared cache refuses user, password or certificate");
        } else {
            tracing::debug!(cache.address = %address, %error, "the shared cache does not answer yet");
        }
    }
}

enum Request<'a> {
    One(&'a Cmd),
    Many(&'a Pipeline),
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(&self, link: &mut Link) -> RedisResult<T> {
        match self {
            Self::One(command) => command.query_async(link).await,
            Self::Many(commands) => commands.query_async(link).await,
        }
    }
}
