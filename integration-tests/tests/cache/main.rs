//! The cache that replicas share: one contract for memory and Redis, what holds while Redis misbehaves, and
//! replicas that work as one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod contract;
mod doors;
mod faults;
mod replicas;
mod story;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use integration_tests::{proxy::Proxy, redis::Redis};
use orchestrator::store::{Limits, RedisStore, StoreConfig};

/// What a cache may take to be itself again.
const COMEBACK_LIMIT: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn config(url: String) -> StoreConfig {
    StoreConfig { cache_url: Some(url), ..Default::default() }
}

/// With the limits that users have.
async fn connect(redis: &Redis) -> RedisStore {
    RedisStore::connect(&config(redis.url()), Limits::default()).await.unwrap()
}

/// Patient: for what is answered, not when.
async fn patient(url: String) -> Arc<RedisStore> {
    Arc::new(RedisStore::connect(&config(url), Limits::for_testing()).await.unwrap())
}

async fn through(proxy: &Proxy) -> RedisStore {
    RedisStore::connect(&config(format!("redis://{}", proxy.address)), Limits::default()).await.unwrap()
}

fn key(name: &str) -> String {
    format!("deeper:1:test:{{tag}}:{name}")
}

fn value(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Tries until it holds.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let tried = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(COMEBACK_LIMIT, tried).await.unwrap_or_else(|_| panic!("{what} did not hold in time"));
}
