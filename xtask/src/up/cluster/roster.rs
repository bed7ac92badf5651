//! `programs.json`: which program runs where under which process id, for whoever wants to look at one or kill it.

use anyhow::{Context, Result};
use serde_json::json;
use std::borrow::Cow;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// One line of it.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) program: Cow<'a, str>,
    pub(super) address: SocketAddr,
    pub(super) pid: u32,
}

/// Replaces the file as a whole: a reader sees the old one or the new one.
pub(super) fn write(file: &Path, entries: &[Entry<'_>]) -> Result<()> {
    let entry = |entry: &Entry<'_>| {
        let Entry { name, program, address, pid } = entry;
        json!({ "name": name, "program": program, "address": address.to_string(), "pid": pid })
    };
    let text = format!("{:#}\n", serde_json::Value::from_iter(entries.iter().map(entry)));
    let fresh = file.with_extension("json.new");
    fs::write(&fresh, text)
        .and_then(|()| fs::rename(&fresh, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roster_is_a_list_of_programs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("programs.json");
        let entry =
            |pid| Entry { name: "vae-1", program: "vae".into(), address: "127.0.0.1:9001".parse().unwrap(), pid };
        write(&file, &[entry(7)]).unwrap();
        write(&file, &[entry(8)]).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(read, json!([{ "name": "vae-1", "program": "vae", "address": "127.0.0.1:9001", "pid": 8 }]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }
}
