//! The page's files: wasm-bindgen's two beside the static ones. Each reference to a file carries that file's
//! digest (`/style.css?v=1f3a…`), so that a browser's cache may keep it for good and still never shows a stale page.

use crate::setup::sha256;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use wasm_bindgen_cli_support::Bindgen;

/// What the page is made of.
pub(crate) struct Inputs {
    /// The front end as rustc left it.
    pub(crate) wasm: PathBuf,
    /// Folders laid out like the page, whose files are taken as they are: index.html in one, the font in another.
    pub(crate) statics: Vec<PathBuf>,
}

impl Inputs {
    /// Changes when the page would: with the inputs or with this program.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let mut files = vec![self.wasm.clone(), std::env::current_exe()?];
        for folder in &self.statics {
            files.extend(files_below(folder)?);
        }
        let lines = files.iter().map(|file| Ok(format!("{} {}\n", sha256(File::open(file)?)?, file.display())));
        lines.collect()
    }
}

/// Writes the page into the new folder `folder`.
pub(crate) fn write(inputs: &Inputs, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let explain = |error| anyhow!("wasm-bindgen: {error:#}");
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&inputs.wasm).web(true).map_err(explain)?;
    // start.js names the wasm file, with its digest.
    bindgen.typescript(false).omit_default_module_path(true);
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.generate(folder).map_err(explain)?;

    for statics in &inputs.statics {
        for file in files_below(statics)? {
            let place = folder.join(file.strip_prefix(statics)?);
            fs::create_dir_all(place.parent().expect("a file lies in a folder"))?;
            fs::copy(&file, &place).with_context(|| format!("cannot copy {}", file.display()))?;
        }
    }
    add_versions(folder)
}

/// Adds `?v=<digest>` to every reference between files. Files that refer to others come after those others, so
/// that a digest covers what a file refers to.
fn add_versions(folder: &Path) -> Result<()> {
    let mut files = files_below(folder)?;
    files.sort_by_key(|file| rank(file));
    let mut versions = BTreeMap::new();
    for file in files {
        let name = format!("/{}", file.strip_prefix(folder)?.display());
        if rank(&file) > 0 {
            let text = fs::read_to_string(&file).with_context(|| format!("{} is no text", file.display()))?;
            fs::write(&file, with_versions(&text, &versions))?;
        }
        versions.insert(name, sha256(File::open(&file)?)?[..12].to_owned());
    }
    Ok(())
}

/// 0: refers to no other file. Then style sheets, then the script that starts all, then pages.
fn rank(file: &Path) -> u8 {
    match file.extension().and_then(|it| it.to_str()) {
        Some("css") => 1,
        Some("js") if file.ends_with("start.js") => 2,
        Some("html") => 3,
        _ => 0,
    }
}

/// `text` with a version behind each known name that stands in quotes or in a CSS `url()`.
fn with_versions(text: &str, versions: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, version) in versions {
        for (open, close) in [("\"", "\""), ("'", "'"), ("(", ")")] {
            text = text.replace(&format!("{open}{name}{close}"), &format!("{open}{name}?v={version}{close}"));
        }
    }
    text
}

/// All files below `folder`, sorted.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reference_gets_its_version_and_other_text_does_not() {
        let versions = BTreeMap::from([("/a.js".to_owned(), "12".to_owned())]);
        let check = |text: &str, expected: &str| assert_eq!(with_versions(text, &versions), expected);
        check("src=\"/a.js\"", "src=\"/a.js?v=12\"");
        check("from '/a.js'", "from '/a.js?v=12'");
        check("url(/a.js)", "url(/a.js?v=12)");
        check("/a.js is a file, \"/b/a.js\" another", "/a.js is a file, \"/b/a.js\" another");
    }

    #[test]
    fn a_changed_font_changes_the_version_of_the_sheet_and_so_the_page() {
        let page = |font: &str| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("a.woff2"), font).unwrap();
            fs::write(folder.path().join("style.css"), "src: url('/a.woff2')").unwrap();
            fs::write(folder.path().join("index.html"), "href='/style.css'").unwrap();
            add_versions(folder.path()).unwrap();
            fs::read_to_string(folder.path().join("index.html")).unwrap()
        };
        assert_eq!(page("one"), page("one"));
        assert_ne!(page("one"), page("two"));
    }
}
