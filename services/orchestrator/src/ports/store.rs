//! What replicas share and may lose at any time: values by key, progress among them, and leases. The
//! adapters are in `store`; what is put where is decided in `explanations/memory`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// Largest value. A larger one is not kept, and what is read of one is cut here.
pub const MAX_VALUE_BYTES: usize = 2 << 20;

/// Most keys in one call.
pub const MAX_KEY_COUNT: usize = 64;

/// A store that answers at once or not at all: one that is down, slow or full looks empty, and no call
/// fails. Keys of one call have the same hash tag, `{…}`, so that a cluster has them on one node.
#[async_trait]
pub trait Store: Send + Sync {
    /// Whether other processes see what is put here. What only this process would see is not encoded.
    fn is_shared(&self) -> bool;

    /// The values of at most [`MAX_KEY_COUNT`] keys, in order. `None`: not there, or not to be had now.
    async fn get(&self, keys: &[String]) -> Vec<Option<Bytes>>;

    /// Keeps values of at most [`MAX_VALUE_BYTES`] for at most `ttl`, in this order; says whether all are.
    async fn put(&self, values: Vec<(String, Bytes)>, ttl: Duration) -> bool;

    /// Takes the lease on a key, unless somebody has it.
    async fn acquire(&self, key: &str, ttl: Duration) -> Acquired;

    /// Holds a lease for another `ttl`; says whether it was still held.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> bool;

    /// Gives a lease back. One that was lost meanwhile stays its new owner's.
    async fn release(&self, lease: &Lease);
}

/// A lease: others wait for what its owner makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub key: String,
    /// The owner's secret: only who knows it renews or releases.
    pub token: String,
}

/// The answer to who asks for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// It is the asker's.
    Held(Lease),
    /// It is somebody's.
    Taken,
    /// The store does not say: the asker does the work, maybe as one of several.
    Unknown,
}
