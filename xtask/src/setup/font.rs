//! The page's one font, Inter as a variable font with the Latin characters, out of the npm package that carries it.
//! It is served by ourselves, so that the page asks nobody else for anything.

use super::npm::{self, Package, Wanted};
use crate::place;
use anyhow::Result;
use std::path::PathBuf;

const PACKAGE: Package = Package {
    name: "@fontsource-variable/inter",
    version: "5.3.0",
    files: &[
        Wanted {
            path: "files/inter-latin-wght-normal.woff2",
            // The name in the style sheet.
            place: "fonts/inter-latin.woff2",
            sha256: "3100e775e8616cd2611beecfa23a4263d7037586789b43f035236a2e6fbd4c62",
        },
        // The Open Font License asks to go wherever the font goes.
        Wanted {
            path: "LICENSE",
            place: "fonts/LICENSE-Inter.txt",
            sha256: "3b0a5fca3d17942cde889069889dedbbbd075e9b599968c82a95f4d944e9b345",
        },
    ],
};

/// A folder laid out like the page, with the checked font and its license in `fonts/`; it is fetched when missing.
pub(crate) fn ensure() -> Result<PathBuf> {
    place::install(&format!("inter-{}", PACKAGE.version), |folder| {
        npm::fetch(&PACKAGE, "downloading the page's font (2 MB)", folder)
    })
}
