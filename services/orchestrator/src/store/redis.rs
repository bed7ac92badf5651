//! `Store` in Redis 7 or Valkey, alone or a cluster. Whoever asks waits a few tens of milliseconds once for
//! a Redis that does not answer; from then on it is passed over until it answers again.

mod address;
mod failure;
mod guard;
mod link;
mod prober;

use std::{sync::Arc, time::Duration};

use ::redis::{Cmd, Pipeline, RedisResult};
use async_trait::async_trait;
use bytes::Bytes;
use domain::Result;

pub(super) use self::address::check_url;
use self::{address::Address, guard::Guard, prober::Prober};
use super::config::StoreConfig;
use crate::ports::{Acquired, Lease, MAX_KEY_COUNT, MAX_VALUE_BYTES, Store};

/// Deletes the key if it holds the token.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
/// Lets the key live on if it holds the token.
const RENEW: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";

/// From here on a value goes by the connection for large ones, and nobody waits for it.
const LARGE_BYTES: usize = 64 << 10;

/// How long Redis may take. What takes longer is not worth waiting for: the answer is computed instead.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a place among the calls under way.
    pub place: Duration,
    /// For an answer that somebody waits for.
    pub answer: Duration,
    /// For a large value to be written; nobody waits for that.
    pub large: Duration,
    /// For a connection.
    pub connect: Duration,
    /// Before the first attempt to reach it again; doubles up to `longest_pause`.
    pub pause: Duration,
    /// Between attempts at most.
    pub longest_pause: Duration,
    /// Calls under way at once; more wait for `place`.
    pub concurrency: usize,
}

impl Default for Limits {
    /// 5 ms for a place and 40 ms for an answer, so that a Redis that hangs costs one caller less than 50 ms.
    fn default() -> Self {
        Self {
            place: Duration::from_millis(5),
            answer: Duration::from_millis(40),
            large: Duration::from_millis(250),
            connect: Duration::from_millis(250),
            pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
            concurrency: 64,
        }
    }
}

impl Limits {
    /// Patient: for tests of what is answered, on machines that have other things to do.
    pub fn for_testing() -> Self {
        let patience = Duration::from_secs(5);
        Self { place: patience, answer: patience, large: patience, connect: patience, ..Self::default() }
    }
}

/// Redis, shared by all replicas.
pub struct RedisStore {
    guard: Arc<Guard>,
    /// Reaches it again after a failure; ends with the store.
    _prober: Prober,
}

impl RedisStore {
    /// Connects. One that cannot be reached now is tried again in the background; one that refuses the
    /// password or the certificate is a mistake of the configuration, and an error.
    pub async fn connect(config: &StoreConfig, limits: Limits) -> Result<Self> {
        let guard = Arc::new(Guard::new(Address::read(config)?, limits));
        guard.connect_at_start().await?;
        Ok(Self { _prober: Prober::start(&guard), guard })
    }

    /// Whether Redis is asked at all: not after a failure, until it answers again.
    pub fn is_available(&self) -> bool {
        self.guard.is_closed()
    }

    /// Waits until Redis is asked again.
    pub async fn available(&self) {
        self.guard.closed().await;
    }

    async fn get_some(&self, keys: &[String]) -> Vec<Option<Bytes>> {
        let mut pipeline = Pipeline::with_capacity(keys.len());
        // A key that holds no string is that key's failure alone.
        pipeline.ignore_errors();
        for key in keys {
            // A foreign value may be huge: no more is read than a value may have.
            pipeline.cmd("GETRANGE").arg(key).arg(0).arg(MAX_VALUE_BYTES);
        }
        let answers: Option<Vec<RedisResult<Vec<u8>>>> = self.guard.ask(&pipeline).await;
        let answers = answers.filter(|answers| answers.len() == keys.len());
        let Some(answers) = answers else { return vec![None; keys.len()] };
        let value = |answer: RedisResult<Vec<u8>>| match answer {
            // Redis says "" for what is not there; nothing we keep is empty.
            Ok(bytes) => (!bytes.is_empty()).then(|| Bytes::from(bytes)),
            Err(error) => {
                self.guard.judge(&error);
                None
            }
        };
        answers.into_iter().map(value).collect()
    }
}

#[async_trait]
impl Store for RedisStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn get(&self, keys: &[String]) -> Vec<Option<Bytes>> {
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(MAX_KEY_COUNT) {
            values.extend(self.get_some(some).await);
        }
        values
    }

    async fn put(&self, values: Vec<(String, Bytes)>, ttl: Duration) -> bool {
        let mut all_are_kept = true;
        for (key, value) in values {
            if value.len() > MAX_VALUE_BYTES {
                all_are_kept = false;
                continue;
            }
            let mut set = ::redis::cmd("SET");
            set.arg(&key).arg(&*value).arg("PX").arg(millis(ttl));
            let kept: Option<()> = if value.len() < LARGE_BYTES {
                self.guard.write(&set).await
            } else {
                self.guard.write_large(&set).await
            };
            // Order is part of the promise: what follows may speak of what did not come about.
            if kept.is_none() {
                return false;
            }
        }
        all_are_kept
    }

    async fn acquire(&self, key: &str, ttl: Duration) -> Acquired {
        let token = uuid::Uuid::new_v4().to_string();
        let mut set = ::redis::cmd("SET");
        set.arg(key).arg(&token).arg("NX").arg("PX").arg(millis(ttl));
        match self.guard.write::<Option<()>>(&set).await {
            Some(Some(())) => Acquired::Held(Lease { key: key.to_owned(), token }),
            Some(None) => Acquired::Taken,
            None => Acquired::Unknown,
        }
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> bool {
        let mut renew = script(RENEW, lease);
        renew.arg(millis(ttl));
        self.guard.write::<i64>(&renew).await == Some(1)
    }

    async fn release(&self, lease: &Lease) {
        // One that cannot be given back now ends by itself.
        let _: Option<i64> = self.guard.write(&script(RELEASE, lease)).await;
    }
}

fn script(text: &str, lease: &Lease) -> Cmd {
    let mut command = ::redis::cmd("EVAL");
    command.arg(text).arg(1).arg(&lease.key).arg(&lease.token);
    command
}

/// Redis takes no time of 0.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64)
}
