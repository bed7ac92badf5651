//! What a request asked for, in one hash: a repeated `request_id` must bring the same.

use prost::Message;

/// Tells a repeated request from another one. Encoding is deterministic: the messages hold no maps.
pub(super) fn fingerprint(method: &str, request: &impl Message) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("deeper.dev request fingerprint v1");
    hasher.update(method.as_bytes()).update(&request.encode_to_vec());
    hasher.finalize().to_hex().to_string()
}
