//! Debian's nginx, for the cluster on one machine.

use super::apt;
use crate::command;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// The first that takes a place for its first messages as an argument; without one it wants to write to /var/log.
const OLDEST: [u32; 3] = [1, 19, 5];
/// Where Debian and its children have had the program: some packages of these names only name others.
const PACKAGES: [&str; 3] = ["nginx", "nginx-core", "nginx-light"];

/// The path of `nginx`. Debian's package would start a server on port 80; only the one program is taken out of it.
pub(crate) fn ensure() -> Result<PathBuf> {
    let path = match command::find("nginx") {
        Some(path) => path,
        None => apt::program(&PACKAGES, "usr/sbin/nginx", "the cluster on one machine")?,
    };
    let told = Command::new(&path).arg("-v").output().ok().filter(|it| it.status.success());
    let broken = || format!("{0} does not run: `ldd {0}` names the libraries that are missing", path.display());
    let told = told.with_context(broken)?;
    let told = String::from_utf8_lossy(&told.stderr);
    ensure!(
        version(&told).is_some_and(|version| version >= OLDEST),
        "{} is too old ({}): the cluster on one machine needs nginx {} or newer, first on PATH",
        path.display(),
        told.trim(),
        OLDEST.map(|number| number.to_string()).join(".")
    );
    Ok(path)
}

/// Of `nginx version: nginx/1.18.0 (Ubuntu)`.
fn version(told: &str) -> Option<[u32; 3]> {
    let (_, version) = told.split_once('/')?;
    let mut numbers = version.split_whitespace().next()?.split('.').map_while(|number| number.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (told, is_new_enough) in [
            ("nginx version: nginx/1.22.1\n", true),
            ("nginx version: nginx/1.19.5", true),
            ("nginx version: openresty/1.21.4.1", true),
            ("nginx version: nginx/1.18.0 (Ubuntu)", false),
            ("nginx version: nginx/1.9.15", false),
        ] {
            assert_eq!(version(told).unwrap() >= OLDEST, is_new_enough, "{told}");
        }
        assert_eq!(version("no words of nginx"), None);
    }
}
