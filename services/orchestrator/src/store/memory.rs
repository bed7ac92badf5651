//! `Store` in this process: the default, and what replicas of one process share in tests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use moka::{Expiry, future::Cache};
use tokio::time::Instant;

use crate::ports::{Acquired, Lease, MAX_VALUE_BYTES, Store};

/// Bytes of values kept.
const MAX_BYTES: u64 = 64 << 20;

/// Values and leases of one process; clones share them.
#[derive(Clone)]
pub struct MemoryStore {
    values: Cache<String, (Bytes, Duration)>,
    leases: Arc<Mutex<HashMap<String, Held>>>,
    is_shared: bool,
}

struct Held {
    token: String,
    until: Instant,
}

/// Each value has a time of its own.
struct OwnTime;

impl Expiry<String, (Bytes, Duration)> for OwnTime {
    fn expire_after_create(&self, _: &String, value: &(Bytes, Duration), _: std::time::Instant) -> Option<Duration> {
        Some(value.1)
    }

    fn expire_after_update(
        &self,
        _: &String,
        value: &(Bytes, Duration),
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(value.1)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        let weigher = |key: &String, value: &(Bytes, Duration)| (key.len() + value.0.len()) as u32;
        let values = Cache::builder().max_capacity(MAX_BYTES).weigher(weigher).expire_after(OwnTime).build();
        Self { values, leases: Arc::default(), is_shared: false }
    }
}

impl MemoryStore {
    /// One that several replicas in this process share.
    pub fn between_replicas() -> Self {
        Self { is_shared: true, ..Self::default() }
    }

    fn leases(&self) -> std::sync::MutexGuard<'_, HashMap<String, Held>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn is_shared(&self) -> bool {
        self.is_shared
    }

    async fn get(&self, keys: &[String]) -> Vec<Option<Bytes>> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.values.get(key).await.map(|(value, _)| value));
        }
        values
    }

    async fn put(&self, values: Vec<(String, Bytes)>, ttl: Duration) -> bool {
        let all_fit = values.iter().all(|(_, value)| value.len() <= MAX_VALUE_BYTES);
        for (key, value) in values.into_iter().filter(|(_, value)| value.len() <= MAX_VALUE_BYTES) {
            self.values.insert(key, (value, ttl)).await;
        }
        all_fit
    }

    async fn acquire(&self, key: &str, ttl: Duration) -> Acquired {
        let mut leases = self.leases();
        let now = Instant::now();
        leases.retain(|_, held| held.until > now);
        if leases.contains_key(key) {
            return Acquired::Taken;
        }
        let token = uuid::Uuid::new_v4().to_string();
        leases.insert(key.to_owned(), Held { token: token.clone(), until: now + ttl });
        Acquired::Held(Lease { key: key.to_owned(), token })
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> bool {
        let now = Instant::now();
        match self.leases().get_mut(&lease.key) {
            Some(held) if held.token == lease.token && held.until > now => {
                held.until = now + ttl;
                true
            }
            _ => false,
        }
    }

    async fn release(&self, lease: &Lease) {
        let mut leases = self.leases();
        if leases.get(&lease.key).is_some_and(|held| held.token == lease.token) {
            leases.remove(&lease.key);
        }
    }
}
