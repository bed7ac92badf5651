//! `programs.json`: which program runs where under which process id, for whoever wants to look at one or kill it.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// What Linux keeps of a program's name.
const NAME_BYTES: usize = 15;

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
    let text = format!("{:#}\n", Value::from_iter(entries.iter().map(entry)));
    let fresh = file.with_extension("json.new");
    fs::write(&fresh, text)
        .and_then(|()| fs::rename(&fresh, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Name and process id of what the file lists and still runs: a cluster that was killed leaves both. Nothing where
/// there is no such file, or no Linux to tell.
pub(super) fn left(file: &Path) -> Vec<(String, u64)> {
    let listed: Vec<Value> =
        fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let still_runs = |entry: &Value| {
        let (name, pid) = (entry["name"].as_str()?, entry["pid"].as_u64()?);
        runs(pid, entry["program"].as_str()?).then(|| (name.to_owned(), pid))
    };
    listed.iter().filter_map(still_runs).collect()
}

/// Whether a process runs a program. The number may be somebody else's by now, or that of one that nobody waited for.
fn runs(pid: u64, program: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // "7 (teacher) S …": the name may hold anything.
    let Some((running, state)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else {
        return false;
    };
    let expected: String = program.chars().take(NAME_BYTES).collect();
    running == expected && !state.starts_with(['Z', 'X'])
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

    #[test]
    #[cfg(target_os = "linux")]
    fn only_programs_that_still_run_are_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("programs.json");
        assert!(left(&file).is_empty());
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let entry = |name, program: &'static str, pid| {
            let address = "127.0.0.1:9001".parse().unwrap();
            Entry { name, program: program.into(), address, pid }
        };
        // The same number under another program's name, and a number that nobody has.
        let entries = [entry("it", "sleep", pid), entry("other", "teacher", pid), entry("gone", "sleep", u32::MAX)];
        write(&file, &entries).unwrap();
        assert_eq!(left(&file), [("it".to_owned(), u64::from(pid))]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(left(&file).is_empty());
        fs::write(&file, "no list").unwrap();
        assert!(left(&file).is_empty());
    }
}
