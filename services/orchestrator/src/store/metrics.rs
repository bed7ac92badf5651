//! What is counted of the cache: lookups by kind and outcome, and why the shared store did not answer.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge},
};

use super::value::{Damage, Kind};

/// Where a value was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// This process's memory.
    Process,
    /// What replicas share.
    Shared,
}

/// Lookups of one cache. Each is counted here and in `deeper.cache.lookups`.
#[derive(Debug, Default)]
pub struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
    corrupt: AtomicU64,
}

impl Lookups {
    /// The value was there.
    pub fn hit(&self, tier: Tier, kind: Kind) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        record(tier, kind, "hit");
    }

    /// It was not, or the store did not answer.
    pub fn miss(&self, tier: Tier, kind: Kind) {
        self.misses.fetch_add(1, Ordering::Relaxed);
        record(tier, kind, "miss");
    }

    /// Something was there that is not taken.
    pub fn corrupt(&self, kind: Kind, damage: Damage) {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        record(Tier::Shared, kind, "corrupt");
        tracing::warn!(cache.kind = kind.name(), cache.damage = damage.name(), "a cached value is damaged: not used");
    }

    /// Hits, misses and corrupt values so far, in both tiers.
    pub fn counts(&self) -> [u64; 3] {
        [&self.hits, &self.misses, &self.corrupt].map(|count| count.load(Ordering::Relaxed))
    }
}

struct Metrics {
    lookups: Counter<u64>,
    failures: Counter<u64>,
    available: Gauge<u64>,
}

fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| {
        let meter = global::meter("deeper");
        Metrics {
            lookups: meter
                .u64_counter("deeper.cache.lookups")
                .with_unit("{lookup}")
                .with_description("Lookups of cached values")
                .build(),
            failures: meter
                .u64_counter("deeper.cache.failures")
                .with_unit("{call}")
                .with_description("Calls that the shared cache did not answer as it should")
                .build(),
            available: meter
                .u64_gauge("deeper.cache.available")
                .with_unit("{replica}")
                .with_description("1 while the shared cache answers, 0 while it is passed over")
                .build(),
        }
    })
}

fn record(tier: Tier, kind: Kind, outcome: &'static str) {
    let tier = if tier == Tier::Process { "process" } else { "shared" };
    let attributes = [
        KeyValue::new("cache.tier", tier),
        KeyValue::new("cache.kind", kind.name()),
        KeyValue::new("cache.outcome", outcome),
    ];
    metrics().lookups.add(1, &attributes);
}

/// A call that the shared store did not answer as it should.
pub(super) fn failed(error_type: &'static str) {
    metrics().failures.add(1, &[KeyValue::new("error.type", error_type)]);
}

/// Whether the shared store is asked at all.
pub(super) fn available(is_available: bool) {
    metrics().available.record(u64::from(is_available), &[]);
}
