//! `Store` as this process has it by itself, and as replicas share it in Redis; and how a value is wrapped,
//! so that a damaged or foreign one is known.

mod config;
mod memory;
mod metrics;
mod redis;
pub mod value;

use std::sync::Arc;

use domain::Result;

pub use self::{
    config::StoreConfig,
    memory::MemoryStore,
    metrics::{Lookups, Tier},
    redis::{Limits, RedisStore},
};
use crate::ports::Store;

/// The store that a configuration names: Redis where there is a URL, else this process's memory.
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn Store>> {
    match &config.cache_url {
        Some(_) => Ok(Arc::new(RedisStore::connect(config, Limits::default()).await?)),
        None => Ok(Arc::new(MemoryStore::default())),
    }
}
