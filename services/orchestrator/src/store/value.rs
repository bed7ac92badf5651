//! How a value is wrapped: with what it is, whose it is and a checksum, so that one that was cut, changed,
//! put under another key or written by another version is told from a good one, whatever its bytes are.

use std::borrow::Cow;

use bytes::Bytes;

use crate::ports::MAX_VALUE_BYTES;

/// Changes when the meaning of a cached value does. Part of every key, and of every value.
pub const SCHEMA: u16 = 1;

const MAGIC: [u8; 4] = *b"deep";
const HASH_BYTES: usize = blake3::OUT_LEN;
/// magic 4, schema 2, kind 1, codec 1, hash of the key 32, stored length 4, length 4; then the checksum.
const CHECKED_HEADER_BYTES: usize = 16 + HASH_BYTES;
const HEADER_BYTES: usize = CHECKED_HEADER_BYTES + HASH_BYTES;

/// Below this, compressing costs more than it saves.
const MIN_COMPRESSED_BYTES: usize = 4 << 10;
/// The fastest of zstd's levels: neighbors shrink to about the same size at every one.
const ZSTD_LEVEL: i32 = 1;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An encoded instance.
    Instance = 1,
    /// How many neighbors there are.
    Manifest = 2,
    /// Some of them.
    Chunk = 3,
    /// A whole answer.
    Answer = 4,
    /// How far an answer has come.
    Progress = 5,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Instance, Self::Manifest, Self::Chunk, Self::Answer, Self::Progress];

    /// In keys and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Manifest => "manifest",
            Self::Chunk => "chunk",
            Self::Answer => "answer",
            Self::Progress => "progress",
        }
    }
}

/// Why a value is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Something else wrote it.
    Foreign,
    /// An older or newer version wrote it.
    OtherSchema,
    /// It belongs to another key or is of another kind.
    OtherKey,
    /// It is shorter or longer than it says.
    Length,
    /// Its bytes changed.
    Checksum,
    /// It is as it was written, and still cannot be read: our bug.
    Content,
}

impl Damage {
    /// In the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::OtherSchema => "other_schema",
            Self::OtherKey => "other_key",
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::Content => "content",
        }
    }
}

/// Wraps a payload for a key; `None` if it is larger than a value may be. Compressed where that saves at
/// least a tenth.
pub fn seal(kind: Kind, key: &str, payload: &[u8]) -> Option<Bytes> {
    if payload.len() > MAX_VALUE_BYTES - HEADER_BYTES {
        return None;
    }
    let compressed = compress(payload);
    let stored = compressed.as_deref().unwrap_or(payload);
    let mut value = Vec::with_capacity(HEADER_BYTES + stored.len());
    value.extend_from_slice(&MAGIC);
    value.extend_from_slice(&SCHEMA.to_le_bytes());
    value.extend_from_slice(&[kind as u8, u8::from(compressed.is_some())]);
    value.extend_from_slice(blake3::hash(key.as_bytes()).as_bytes());
    value.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    value.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    let checksum = checksum(&value, stored);
    value.extend_from_slice(checksum.as_bytes());
    value.extend_from_slice(stored);
    Some(value.into())
}

/// The payload of a value that was sealed for this key.
pub fn open<'a>(kind: Kind, key: &str, value: &'a [u8]) -> Result<Cow<'a, [u8]>, Damage> {
    if !value.starts_with(&MAGIC) {
        return Err(Damage::Foreign);
    }
    let (header, rest) = value.split_at_checked(CHECKED_HEADER_BYTES).ok_or(Damage::Length)?;
    let (expected, stored) = rest.split_at_checked(HASH_BYTES).ok_or(Damage::Length)?;
    if header[4..6] != SCHEMA.to_le_bytes() {
        return Err(Damage::OtherSchema);
    }
    if header[6] != kind as u8 || header[8..8 + HASH_BYTES] != *blake3::hash(key.as_bytes()).as_bytes() {
        return Err(Damage::OtherKey);
    }
    let stored_length = length(header, 8 + HASH_BYTES);
    let payload_length = length(header, 12 + HASH_BYTES);
    if stored.len() != stored_length || payload_length > MAX_VALUE_BYTES {
        return Err(Damage::Length);
    }
    if checksum(header, stored).as_bytes() != expected {
        return Err(Damage::Checksum);
    }
    let payload = match header[7] {
        0 => Cow::Borrowed(stored),
        1 => Cow::Owned(zstd::bulk::decompress(stored, payload_length).map_err(|_| Damage::Content)?),
        _ => return Err(Damage::Content),
    };
    if payload.len() == payload_length { Ok(payload) } else { Err(Damage::Length) }
}

fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() < MIN_COMPRESSED_BYTES {
        return None;
    }
    let compressed = zstd::bulk::compress(payload, ZSTD_LEVEL).ok()?;
    (compressed.len() <= payload.len() / 10 * 9).then_some(compressed)
}

fn checksum(header: &[u8], stored: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header).update(stored);
    hasher.finalize()
}

/// A little-endian u32 of the header.
fn length(header: &[u8], at: usize) -> usize {
    let bytes = header[at..at + 4].try_into().expect("four bytes of a header of fixed size");
    u32::from_le_bytes(bytes) as usize
}
