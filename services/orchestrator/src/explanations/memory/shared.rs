//! What replicas share of explanations: instances, labelled neighbors in chunks, whole answers, and how far
//! an answer has come. Whatever is not there, damaged or not to be had is a miss.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{Image, NeighborhoodSpec, Result, Stage};
use prost::Message;

use super::{
    super::{
        instance::EncodedInstance,
        neighborhood::{Chunk, Neighborhood},
    },
    encoding::{
        Manifest, decode_chunk, decode_instance, decode_manifest, decode_snapshot, encode_chunk, encode_instance,
        encode_snapshot,
    },
    key::SharedKeys,
};
use crate::{
    explain::{Question, Snapshot},
    ports::Store,
    store::{
        Lookups, Tier,
        value::{Damage, Kind, open, seal},
    },
};

/// How long a value is kept, give or take a tenth so that not all end at once. An LRU ends most earlier.
const VALUE_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long is believed how far somebody has come.
const PROGRESS_TTL: Duration = Duration::from_secs(10);
/// What a chunk of neighbors has at most, unless one neighbor alone has more.
const CHUNK_BYTES: usize = 512 << 10;
/// Chunks read in one call: 1 MiB.
const CHUNKS_A_CALL: usize = 2;

/// The shared store in the words of explanations.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) lookups: Arc<Lookups>,
}

impl Shared {
    /// An encoded instance.
    pub(super) async fn instance(&self, keys: &SharedKeys) -> Option<EncodedInstance> {
        self.read(Kind::Instance, keys.value(Kind::Instance), decode_instance).await
    }

    /// Keeps an encoded instance.
    pub(super) async fn put_instance(&self, keys: &SharedKeys, instance: &EncodedInstance) {
        self.write(Kind::Instance, keys.value(Kind::Instance), &encode_instance(instance), ttl(keys)).await;
    }

    /// A whole answer, its neighbors included.
    pub(super) async fn answer(&self, question: &Question) -> Option<Snapshot> {
        let keys = SharedKeys::answer(question);
        let decode = |bytes: &[u8]| decode_snapshot(bytes, question);
        let (answer, count) = self.read(Kind::Answer, keys.value(Kind::Answer), decode).await?;
        let wanted = question.neighborhood.neighbor_count;
        if answer.stage != Stage::Complete || answer.student.is_none() || count != wanted {
            return None;
        }
        let neighborhood = self.extend(question, Neighborhood::default(), wanted).await;
        (neighborhood.len() == wanted).then_some(Snapshot { neighborhood, ..answer })
    }

    /// Keeps a whole answer, whose neighbors are kept already.
    pub(super) async fn put_answer(&self, question: &Question, answer: &Snapshot) {
        let keys = SharedKeys::answer(question);
        self.write(Kind::Answer, keys.value(Kind::Answer), &encode_snapshot(answer), ttl(&keys)).await;
    }

    /// How far the replica has come that answers a question, without its neighbors, and how many they are.
    pub(super) async fn progress(&self, question: &Question) -> Option<(Snapshot, usize)> {
        let key = SharedKeys::answer(question).value(Kind::Progress);
        self.read(Kind::Progress, key, |bytes| decode_snapshot(bytes, question)).await
    }

    /// Tells how far this replica has come.
    pub(super) async fn put_progress(&self, question: &Question, snapshot: &Snapshot) {
        let key = SharedKeys::answer(question).value(Kind::Progress);
        self.write(Kind::Progress, key, &encode_snapshot(snapshot), PROGRESS_TTL).await;
    }

    /// More neighbors after those that are `known`, at most `wanted` in all. A chunk that is missing ends
    /// them, and the manifest is put right, so that whoever labels the rest also keeps it.
    pub(super) async fn extend(&self, question: &Question, known: Neighborhood, wanted: usize) -> Neighborhood {
        let wanted = wanted.min(NeighborhoodSpec::MAX_NEIGHBOR_COUNT);
        let keys = SharedKeys::neighborhood(question);
        let Some(manifest) = self.read(Kind::Manifest, keys.value(Kind::Manifest), decode_manifest).await else {
            return known;
        };
        let (count, length) = (manifest.neighbor_count as usize, manifest.chunk_length as usize);
        if count <= known.len() || known.len() >= wanted {
            return known;
        }
        let first = known.len() / length;
        let mut extended = known.prefix(first * length);
        let indices: Vec<usize> = (first..wanted.min(count).div_ceil(length)).collect();
        for indices in indices.chunks(CHUNKS_A_CALL) {
            let parts: Vec<String> = indices.iter().map(|&index| keys.part(Kind::Chunk, index)).collect();
            let values = self.store.get(&parts).await;
            for ((&index, part), value) in indices.iter().zip(&parts).zip(values) {
                let decode = |bytes: &[u8]| checked_chunk(bytes, &question.image, length);
                let chunk = self.take(Kind::Chunk, part, value, decode);
                let whole = length.min(count - index * length);
                let is_short = chunk.as_ref().is_none_or(|chunk| chunk.logits.len() < whole);
                if let Some(chunk) = chunk {
                    extended.push(chunk);
                }
                if is_short {
                    self.put_manifest(&keys, extended.len(), length).await;
                    return if extended.len() > known.len() { extended.prefix(wanted) } else { known };
                }
            }
        }
        extended.prefix(wanted)
    }

    /// Keeps labelled neighbors, unless as many are kept: a larger set extends a smaller one.
    pub(super) async fn put_neighborhood(&self, question: &Question, neighborhood: &Neighborhood) {
        let Some(one) = neighborhood.range(0, 1) else { return };
        let length = chunk_length(&one);
        let keys = SharedKeys::neighborhood(question);
        let kept = self.peek_manifest(&keys).await.filter(|manifest| manifest.chunk_length as usize == length);
        let kept = kept.map_or(0, |manifest| manifest.neighbor_count as usize);
        if kept >= neighborhood.len() {
            return;
        }
        for index in kept / length..neighborhood.len().div_ceil(length) {
            let Some(chunk) = neighborhood.range(index * length, (index + 1) * length) else { return };
            let key = keys.part(Kind::Chunk, index);
            if !self.write(Kind::Chunk, key, &encode_chunk(&chunk), ttl(&keys)).await {
                return;
            }
        }
        // Last, so that it never speaks of what is not there yet.
        self.put_manifest(&keys, neighborhood.len(), length).await;
    }

    async fn put_manifest(&self, keys: &SharedKeys, neighbor_count: usize, chunk_length: usize) {
        let manifest = Manifest { neighbor_count: neighbor_count as u32, chunk_length: chunk_length as u32 };
        self.write(Kind::Manifest, keys.value(Kind::Manifest), &manifest.encode_to_vec(), ttl(keys)).await;
    }

    /// Before a write: not a lookup that counts.
    async fn peek_manifest(&self, keys: &SharedKeys) -> Option<Manifest> {
        let key = keys.value(Kind::Manifest);
        let value = self.store.get(std::slice::from_ref(&key)).await.into_iter().next().flatten()?;
        let payload = open(Kind::Manifest, &key, &value).ok()?;
        decode_manifest(&payload).ok()
    }

    async fn read<T>(&self, kind: Kind, key: String, decode: impl FnOnce(&[u8]) -> Result<T>) -> Option<T> {
        let value = self.store.get(std::slice::from_ref(&key)).await.into_iter().next().flatten();
        self.take(kind, &key, value, decode)
    }

    fn take<T>(
        &self,
        kind: Kind,
        key: &str,
        value: Option<Bytes>,
        decode: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Option<T> {
        let Some(value) = value else {
            self.lookups.miss(Tier::Shared, kind);
            return None;
        };
        let opened = open(kind, key, &value);
        match opened.and_then(|payload| decode(&payload).map_err(|_| Damage::Content)) {
            Ok(found) => {
                self.lookups.hit(Tier::Shared, kind);
                Some(found)
            }
            Err(damage) => {
                self.lookups.corrupt(kind, damage);
                None
            }
        }
    }

    async fn write(&self, kind: Kind, key: String, payload: &[u8], ttl: Duration) -> bool {
        match seal(kind, &key, payload) {
            Some(value) => self.store.put(vec![(key, value)], ttl).await,
            None => false,
        }
    }
}

fn checked_chunk(bytes: &[u8], instance: &Image, length: usize) -> Result<Chunk> {
    let chunk = decode_chunk(bytes)?;
    if chunk.images.shape() != instance.shape() || chunk.logits.len() > length {
        return Err(domain::Error::unexpected("a chunk of another neighborhood"));
    }
    Ok(chunk)
}

/// Neighbors a chunk, the same in every replica.
fn chunk_length(one: &Chunk) -> usize {
    let numbers = one.points[0].len() + one.logits[0].label_count();
    let bytes = one.images.pixels().len() + size_of::<f32>() * numbers;
    (CHUNK_BYTES / bytes).clamp(1, NeighborhoodSpec::MAX_NEIGHBOR_COUNT)
}

fn ttl(keys: &SharedKeys) -> Duration {
    VALUE_TTL.mul_f64(0.9 + 0.2 * keys.share())
}
