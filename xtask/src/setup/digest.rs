//! SHA-256: what was fetched is what was pinned, or the run ends.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Fails when the file's SHA-256 is not `expected` (lower-case hex).
pub(crate) fn verify(file: &Path, expected: &str) -> Result<()> {
    let got = sha256(File::open(file).with_context(|| format!("cannot open {}", file.display()))?)?;
    if got != expected {
        bail!("{} has SHA-256 {got}, expected {expected}; it is not used", file.display());
    }
    Ok(())
}

/// The SHA-256 of all that `bytes` yields, as lower-case hex.
pub(crate) fn sha256(mut bytes: impl Read) -> Result<String> {
    let mut state = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = bytes.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        state.update(&buffer[..count]);
    }
    Ok(state.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes all that is written to it");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digest_of_the_standards_example_is_the_standards_answer() {
        assert_eq!(sha256(&b"abc"[..]).unwrap(), OF_ABC);
    }

    #[test]
    fn one_wrong_byte_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "abc").unwrap();
        verify(&file, OF_ABC).unwrap();
        std::fs::write(&file, "abd").unwrap();
        assert!(verify(&file, OF_ABC).unwrap_err().to_string().contains("expected"));
    }
}
