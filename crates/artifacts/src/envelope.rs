//! Small objects with their digest in front, so that what was damaged is told of and not taken for
//! something else.

use bytes::Bytes;

/// Changes with the format. No message of ours begins like it.
const MAGIC: &[u8] = b"deeper document 1 ";
/// blake3 in hex, and a line's end.
const HEAD_BYTES: usize = MAGIC.len() + 64 + 1;

/// Bytes with their digest.
pub(crate) fn seal(bytes: &[u8]) -> Bytes {
    let digest = blake3::hash(bytes).to_hex();
    [MAGIC, digest.as_bytes(), b"\n", bytes].concat().into()
}

/// The bytes that were sealed; `None` if they are not those any more. What was written before there were
/// seals passes as it is.
pub(crate) fn open(file: &Bytes) -> Option<Bytes> {
    if !file.starts_with(MAGIC) {
        return Some(file.clone());
    }
    if file.len() < HEAD_BYTES {
        return None;
    }
    let bytes = file.slice(HEAD_BYTES..);
    let digest = blake3::hash(&bytes).to_hex();
    (&file[MAGIC.len()..HEAD_BYTES - 1] == digest.as_bytes()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(open(&seal(&bytes)), Some(Bytes::from(bytes)));
        }

        #[test]
        fn a_changed_byte_is_noticed(bytes in prop::collection::vec(any::<u8>(), 1..100), at in any::<prop::sample::Index>()) {
            let mut file = seal(&bytes).to_vec();
            let at = at.index(bytes.len()) + HEAD_BYTES;
            file[at] ^= 1;
            prop_assert_eq!(open(&Bytes::from(file)), None);
        }

        #[test]
        fn a_cut_file_is_noticed(bytes in prop::collection::vec(any::<u8>(), 1..100), cut in any::<prop::sample::Index>()) {
            let file = seal(&bytes);
            let cut = MAGIC.len() + cut.index(file.len() - MAGIC.len());
            prop_assert_eq!(open(&file.slice(..cut)), None);
        }
    }

    #[test]
    fn what_has_no_seal_passes() {
        let old = Bytes::from_static(b"\x0a\x0bteachers/t");
        assert_eq!(open(&old), Some(old.clone()));
    }
}
