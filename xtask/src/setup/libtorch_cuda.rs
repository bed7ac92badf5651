//! libtorch with CUDA for images: PyTorch and NVIDIA's libraries as pip resolves them, in the user's cache. Only
//! `cargo xtask images --torch cuda` asks for it, and nothing of it has been run on a GPU.

use super::libtorch::VERSION;
use super::wheels::python;
use crate::{command, place};
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder for LIBTORCH; it is fetched when the user's cache lacks it.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = place::install(&format!("libtorch-cuda-{VERSION}"), |folder| {
        command::run(
            &format!("downloading PyTorch {VERSION} with CUDA with pip (2 GB to download, 4 GB on disk)"),
            Command::new(python()?)
                .args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"])
                .args(["--only-binary=:all:", "--root-user-action=ignore", "--target"])
                .arg(folder)
                .arg(format!("torch=={VERSION}")),
        )?;
        // torch-sys compares this with the version it was written for.
        Ok(fs::write(folder.join("torch/build-version"), format!("{VERSION}\n"))?)
    })?;
    Ok(folder.join("torch"))
}

/// Every library that may be loaded while a program runs: CUDA's load each other by name.
pub(crate) fn libraries() -> Result<Vec<PathBuf>> {
    let torch = ensure()?;
    let site = torch.parent().expect("it lies in pip's folder");
    let mut found = Vec::new();
    let mut folders = vec![torch.join("lib"), site.join("nvidia")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if is_library(&path) && !is_of_python(&path) => found.push(path),
                false => {}
            }
        }
    }
    Ok(found)
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("lib") && (name.ends_with(".so") || name.contains(".so."))
}

/// What binds PyTorch to Python has no place in an image without it.
fn is_of_python(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains("python"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_headers_and_from_what_python_needs() {
        let check = |name: &str, wanted: bool| {
            let path = Path::new(name);
            assert_eq!(is_library(path) && !is_of_python(path), wanted, "{name}");
        };
        check("libtorch_cuda.so", true);
        check("libcudnn_ops.so.9", true);
        check("libtorch_python.so", false);
        check("cudnn.h", false);
        check("libcudart_static.a", false);
    }
}
