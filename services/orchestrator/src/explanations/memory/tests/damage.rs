//! Values that were cut, changed, exchanged or written by others: each is a miss that is counted, or it is
//! the value. None is a panic, and none a wrong picture.

use super::*;
use crate::store::value::{Damage, SCHEMA, open, seal};

/// Changed values tried for each of the five kinds.
const TRIES_A_KIND: u64 = 22_000;

/// splitmix64 (Steele, Lea, Flood 2014): a portable stream of numbers from a seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// One of the things that happen to bytes in a store. `others` are good values of other keys.
fn damaged(value: &[u8], others: &[Bytes], seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let mut bytes = value.to_vec();
    let other = &others[numbers.below(others.len())];
    match seed % 9 {
        // Cut short, at the end or at the front.
        0 => bytes.truncate(numbers.below(value.len())),
        1 => drop(bytes.drain(..=numbers.below(value.len() - 1))),
        // A few bits flipped.
        2 => {
            for _ in 0..=numbers.below(8) {
                let at = numbers.below(bytes.len());
                bytes[at] ^= 1 << numbers.below(8);
            }
        }
        // Bits flipped in the header alone.
        3 => {
            let at = numbers.below(80);
            bytes[at] ^= 1 << numbers.below(8);
        }
        // A piece of another value in the middle.
        4 => {
            let length = 1 + numbers.below(other.len().min(bytes.len()) - 1);
            let (to, from) = (numbers.below(bytes.len() - length + 1), numbers.below(other.len() - length + 1));
            bytes[to..to + length].copy_from_slice(&other[from..from + length]);
        }
        // The front of this one and the end of another one.
        5 => {
            bytes.truncate(numbers.below(value.len()));
            bytes.extend_from_slice(&other[numbers.below(other.len())..]);
        }
        // Another one altogether.
        6 => bytes = other.to_vec(),
        // Longer than it was.
        7 => bytes.extend((0..=numbers.below(100)).map(|i| i as u8)),
        // Written by another version, checksum and all.
        _ => {
            let schema = SCHEMA.wrapping_add(1 + numbers.below(usize::from(u16::MAX)) as u16);
            bytes[4..6].copy_from_slice(&schema.to_le_bytes());
            let mut hasher = blake3::Hasher::new();
            hasher.update(&bytes[..48]).update(&bytes[80..]);
            bytes[48..80].copy_from_slice(hasher.finalize().as_bytes());
        }
    }
    bytes
}

#[test]
fn no_damaged_value_is_ever_opened() {
    let bench = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(filled(40));
    let keys: Vec<(Kind, String)> = Kind::ALL.map(|kind| (kind, bench.key_of(kind))).into();
    let mut changed = 0;
    for (kind, key) in &keys {
        let value = bench.value(key);
        assert!(open(*kind, key, &value).is_ok());
        let others: Vec<Bytes> =
            keys.iter().filter(|(_, other)| other != key).map(|(_, key)| bench.value(key)).collect();
        for seed in 0..TRIES_A_KIND {
            let bytes = damaged(&value, &others, seed);
            if bytes != *value {
                changed += 1;
                assert!(open(*kind, key, &bytes).is_err(), "{} opened although damaged by {seed}", kind.name());
            }
        }
        // The same bytes under another key, or taken for another kind.
        for (other_kind, other_key) in keys.iter().filter(|(_, other)| other != key) {
            assert_eq!(open(*other_kind, other_key, &value), Err(Damage::OtherKey));
            assert_eq!(open(*other_kind, key, &value), Err(Damage::OtherKey));
        }
    }
    assert!(changed >= 100_000, "only {changed} were changed");
}

#[tokio::test]
async fn a_damaged_value_is_a_counted_miss_on_every_way_to_a_picture() {
    let truth = answer(40);
    let wanted = question(40);
    for kind in Kind::ALL {
        for seed in 0..90 {
            let bench = filled(40).await;
            let key = bench.key_of(kind);
            let others: Vec<Bytes> = Kind::ALL
                .map(|kind| bench.key_of(kind))
                .iter()
                .filter(|other| **other != key)
                .map(|key| bench.value(key))
                .collect();
            let good = bench.value(&key);
            let bytes = damaged(&good, &others, seed);
            if bytes.is_empty() || bytes == *good {
                continue;
            }
            bench.set(&key, bytes.into());

            let memory = Memory::over(bench.clone());
            let computed = memory.instance((&wanted).into(), async { Ok(instance()) }).await.unwrap();
            assert_eq!(*computed, instance());
            let (answered, told) = (found(&memory, &wanted).await, memory.shared.progress(&wanted).await);
            let neighborhood = memory.neighborhood(&wanted).await;
            let known = content(&truth.neighborhood.prefix(neighborhood.len()));
            assert_eq!(content(&neighborhood), known, "{} damaged by {seed}", kind.name());
            if let Some(answered) = answered {
                assert_eq!(answered.student, truth.student);
                assert_eq!(content(&answered.neighborhood), content(&truth.neighborhood));
            }
            assert!(told.is_none_or(|(told, count)| told.student == truth.student && count == 40));
            let [_, _, corrupt] = memory.lookups().counts();
            assert!(corrupt >= 1, "{} damaged by {seed} was not counted", kind.name());

            // Whoever computes it again puts it right.
            memory.share(&wanted, &truth, true, None).await;
            memory.shared.put_progress(&wanted, &truth).await;
            let after = Memory::over(bench);
            assert!(found(&after, &wanted).await.is_some());
            assert_eq!(after.lookups().counts()[2], 0, "{} damaged by {seed} was not put right", kind.name());
        }
    }
}

/// What a version of ours would write that is wrong in itself, under a right checksum.
#[tokio::test]
async fn nonsense_under_a_right_checksum_does_not_panic() {
    let bench = filled(40).await;
    for kind in Kind::ALL {
        let key = bench.key_of(kind);
        let good = bench.value(&key);
        let payload = open(kind, &key, &good).unwrap().into_owned();
        let others: Vec<Bytes> = vec![Bytes::from(payload.clone()), Bytes::from_static(&[0xff; 64])];
        // A manifest is a few bytes; the changes need some length.
        let base = if payload.len() < 100 { payload.repeat(40) } else { payload };
        for seed in 0..300 {
            let mutated =
                if seed % 9 == 8 { base[..seed as usize % base.len()].to_vec() } else { damaged(&base, &others, seed) };
            bench.set(&key, seal(kind, &key, &mutated).unwrap());
            let memory = Memory::over(bench.clone());
            let wanted = question(40);
            memory.shared.instance(&SharedKeys::instance((&wanted).into())).await;
            memory.shared.progress(&wanted).await;
            if let Some(found) = found(&memory, &wanted).await {
                assert_eq!(found.instance.unwrap().image, wanted.image);
                assert_eq!(found.neighborhood.len(), 40);
            }
        }
        bench.set(&key, good);
    }
}

#[test]
fn what_is_sealed_is_opened_and_compressed_where_that_saves() {
    let pictures = vec![0u8; 100_000];
    let noise: Vec<u8> = std::iter::successors(Some(Numbers(1)), |n| Some(Numbers(n.0 + 1)))
        .take(20_000)
        .map(|mut numbers| numbers.next() as u8)
        .collect();
    for payload in [&pictures[..], &noise, &[], &[7]] {
        let value = seal(Kind::Chunk, "k", payload).unwrap();
        assert_eq!(*open(Kind::Chunk, "k", &value).unwrap(), *payload);
        assert!(value.len() <= payload.len() + 80);
    }
    assert!(seal(Kind::Chunk, "k", &pictures).unwrap().len() < 1_000);
    assert_eq!(seal(Kind::Chunk, "k", &vec![0; crate::ports::MAX_VALUE_BYTES]), None);
}
