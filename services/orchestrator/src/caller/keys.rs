//! API keys: a file of names, roles and hashes. The keys themselves are never on a disk of ours.

use std::{collections::HashMap, fs, path::Path};

use domain::{Result, Violations};
use sha2::{Digest, Sha256};

use super::{Caller, Role, is_name};

/// Largest file and most keys that are read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Who has which key. Keys are long random strings, so that a quick hash of them is enough.
#[derive(Clone, Default)]
pub struct Keys {
    callers: HashMap<[u8; 32], Caller>,
}

impl Keys {
    /// Reads a file of lines `name role hash`: a user's name, `user` or `admin`, and the SHA-256 of the key in
    /// hex, as `printf %s "$KEY" | sha256sum` prints it. Empty lines and lines that begin with `#` are
    /// skipped. Every mistake is told, with its line.
    pub fn read(file: &Path) -> Result<Self> {
        let mut violations = Violations::default();
        let text = match fs::metadata(file) {
            Ok(found) if found.len() > MAX_FILE_BYTES => {
                violations.add("", format!("is larger than {MAX_FILE_BYTES} bytes"));
                String::new()
            }
            _ => fs::read_to_string(file).unwrap_or_else(|error| {
                violations.add("", format!("{} cannot be read: {error}", file.display()));
                String::new()
            }),
        };
        let keys = Self::parse(&text, &mut violations);
        violations.finish().map(|()| keys)
    }

    fn parse(text: &str, violations: &mut Violations) -> Self {
        let mut keys = Self::default();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.is_empty() || line.starts_with('#') {
                continue;
            }
            match entry(&words) {
                Some((hash, caller)) => {
                    keys.callers.insert(hash, caller);
                }
                None => violations.add("", format!("line {} is not a name, user or admin, and a SHA-256", number + 1)),
            }
        }
        keys
    }

    /// Whose key this is.
    pub(super) fn find(&self, key: &str) -> Option<&Caller> {
        // Looked up by hash: how long it takes tells nothing of the key.
        self.callers.get(&<[u8; 32]>::from(Sha256::digest(key.as_bytes())))
    }
}

fn entry(words: &[&str]) -> Option<([u8; 32], Caller)> {
    let [name, role, hash] = words else { return None };
    let role = match *role {
        "user" => Role::User,
        "admin" => Role::Admin,
        _ => return None,
    };
    let digits = (hash.len() == 64 && hash.is_ascii()).then_some(hash)?;
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    is_name(name).then(|| (bytes, Caller { name: (*name).to_owned(), role }))
}

/// Hashes are no secrets worth stealing, but no reading matter either.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("count", &self.callers.len()).finish()
    }
}
