//! What has been computed before: in this process, bounded, and behind that in the store that replicas share.
//! Always safe to lose. Keys name everything that determines a value, so that none has to be invalidated.

mod encoding;
mod key;
mod seats;
mod shared;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;

use domain::{Error, Result};
use moka::future::Cache;
use runtime::call::Context;

use self::{key::SharedKeys, shared::Shared};
pub use self::{
    key::{InstanceKey, Key, teacher_digest},
    seats::Seat,
    turns::{Held, Turn, holding},
};
use super::{instance::EncodedInstance, neighborhood::Neighborhood};
use crate::{
    explain::{Question, Snapshot},
    ports::Store,
    store::{Lookups, MemoryStore, Tier, value::Kind},
};

/// Instances kept; each is a few kilobytes.
const INSTANCE_COUNT: u64 = 4_096;

/// Bytes of labelled neighbors kept, about 250 neighborhoods of 1,000 MNIST images.
const NEIGHBORHOOD_BYTES: u64 = 256 << 20;

/// Bytes of finished explanations kept. One that has just ended shares its neighbors with the above; they are
/// counted here too, since they live on where the other cache has let them go.
const ANSWER_BYTES: u64 = 256 << 20;

/// The caches of one process, and the store behind them.
#[derive(Clone)]
pub struct Memory {
    instances: Cache<InstanceKey, Arc<EncodedInstance>>,
    neighborhoods: Cache<Key, Neighborhood>,
    answers: Cache<Key, Snapshot>,
    shared: Shared,
}

impl Default for Memory {
    /// For a process that is alone.
    fn default() -> Self {
        Self::over(Arc::new(MemoryStore::default()))
    }
}

impl Memory {
    /// In front of a store.
    pub fn over(store: Arc<dyn Store>) -> Self {
        let weigher = |_: &Key, value: &Neighborhood| u32::try_from(value.byte_count()).unwrap_or(u32::MAX);
        let answer_weigher = |_: &Key, value: &Snapshot| u32::try_from(byte_count(value)).unwrap_or(u32::MAX);
        Self {
            instances: Cache::new(INSTANCE_COUNT),
            neighborhoods: Cache::builder().max_capacity(NEIGHBORHOOD_BYTES).weigher(weigher).build(),
            answers: Cache::builder().max_capacity(ANSWER_BYTES).weigher(answer_weigher).build(),
            shared: Shared { store, lookups: Arc::default() },
        }
    }

    /// What was looked up so far.
    pub fn lookups(&self) -> &Lookups {
        &self.shared.lookups
    }

    /// An encoded instance; computed once, however many ask at the same time, here and in other replicas.
    pub async fn instance<F>(&self, key: InstanceKey, compute: F) -> Result<Arc<EncodedInstance>>
    where
        F: Future<Output = Result<EncodedInstance>>,
    {
        let known = self.instances.get(&key).await;
        if let Some(known) = self.counted(Kind::Instance, known) {
            return Ok(known);
        }
        // Others may wait for the same: the first one's deadline must not end it for them.
        let compute = async { self.instance_in_turn(key, compute).await.map(Arc::new) };
        let compute = Context::current().unbounded().scope(compute);
        let found = self.instances.try_get_with(key, compute).await;
        found.map_err(|error: Arc<Error>| Error::clone(&error))
    }

    async fn instance_in_turn<F>(&self, key: InstanceKey, compute: F) -> Result<EncodedInstance>
    where
        F: Future<Output = Result<EncodedInstance>>,
    {
        if !self.shared.store.is_shared() {
            return compute.await;
        }
        let keys = SharedKeys::instance(key);
        let held = match self.shared.turn_for_instance(&keys).await {
            Turn::Found(instance) => return Ok(instance),
            Turn::Ours(held) => held,
        };
        let instance = holding(&held, compute).await?;
        self.shared.put_instance(&keys, &instance).await;
        Ok(instance)
    }

    /// Neighbors that were labelled before, at most as many as are asked for.
    pub async fn neighborhood(&self, question: &Question) -> Neighborhood {
        let wanted = question.neighborhood.neighbor_count;
        let known = self.neighborhoods.get(&Key::neighborhood(question)).await;
        let known = self.counted(Kind::Manifest, known).unwrap_or_default().prefix(wanted);
        if known.len() == wanted || !self.shared.store.is_shared() {
            return known;
        }
        self.shared.extend(question, known, wanted).await
    }

    /// Keeps labelled neighbors, unless more of them are known.
    pub async fn keep_neighborhood(&self, question: &Question, neighborhood: Neighborhood) {
        let key = Key::neighborhood(question);
        let known = self.neighborhoods.get(&key).await.map_or(0, |known| known.len());
        if known < neighborhood.len() {
            self.neighborhoods.insert(key, neighborhood).await;
        }
    }

    /// A whole answer that this process knows. What replicas share is found in [`Memory::turn`].
    pub async fn answer(&self, question: &Question) -> Option<Snapshot> {
        let known = self.answers.get(&Key::answer(question)).await;
        self.counted(Kind::Answer, known)
    }

    /// Keeps a whole answer.
    pub async fn keep_answer(&self, question: &Question, snapshot: Snapshot) {
        self.answers.insert(Key::answer(question), snapshot).await;
    }

    fn counted<T>(&self, kind: Kind, known: Option<T>) -> Option<T> {
        match known {
            Some(_) => self.shared.lookups.hit(Tier::Process, kind),
            None => self.shared.lookups.miss(Tier::Process, kind),
        }
        known
    }
}

/// Bytes of an answer: its neighbors, and the weights (`f64`) and maps (`f32`) of its student.
fn byte_count(answer: &Snapshot) -> usize {
    let student = answer.student.as_ref().map_or(0, |student| {
        let map_count = 3 * student.contribution_maps.len() + 1;
        map_count * student.contrast_map.values().len() * size_of::<f32>()
    });
    answer.neighborhood.byte_count() + student
}
