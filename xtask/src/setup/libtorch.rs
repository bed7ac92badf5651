//! libtorch without CUDA, out of PyTorch's wheel into the user's cache, and the link `./libtorch` to it.
//! `.cargo/config.toml` points LIBTORCH at that link.

use super::wheels::{self, Wheel};
use crate::place;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;

/// The one version that tch 0.26 is written for.
pub(super) const VERSION: &str = "2.13.0";

const WHEELS: [Wheel; 3] = [
    Wheel {
        name: "torch",
        version: VERSION,
        sha256: "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
    },
    // libtorch_cpu.so is linked against these two even where there is no GPU.
    Wheel {
        name: "nvidia-cuda-runtime",
        version: "13.0.96",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    },
    Wheel {
        name: "nvidia-cuda-cupti",
        version: "13.0.85",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    },
];

/// The shared libraries that a program for the CPU loads.
const LIBRARIES: [&str; 5] = ["libc10.so", "libcudart.so.13", "libcupti.so.13", "libgomp.so.1", "libtorch_cpu.so"];

/// Links `./libtorch` to an unpacked libtorch, which is fetched when the user's cache lacks it.
pub(crate) fn ensure() -> Result<()> {
    if let Some(own) = place::libtorch_of_ones_own() {
        println!("> using the libtorch of the environment: {}", own.display());
        ensure!(own.join("lib").is_dir(), "LIBTORCH is {}, which has no folder lib", own.display());
        return Ok(());
    }
    let link = place::root().join("libtorch");
    if is_whole(&link) {
        return Ok(());
    }
    if !wheels::fit_this_machine() {
        bail!(
            "libtorch is set up for x86-64 Linux only; on this machine unpack libtorch {VERSION} yourself and \
             set LIBTORCH to its folder (the one that holds lib and include)"
        );
    }
    let folder = place::install(&format!("libtorch-{VERSION}"), fill)?;
    ensure!(is_whole(&folder), "{} is damaged; delete it, then run this again", folder.display());
    point(&link, &folder)
}

fn fill(folder: &Path) -> Result<()> {
    let scratch = place::scratch()?;
    println!("> setting up libtorch {VERSION} (540 MB to download, 490 MB on disk, once for all checkouts)");
    for wheel in wheels::download(&WHEELS, scratch.path())? {
        println!("> unpacking {}", wheel.file_name().unwrap_or_default().display());
        let count = wheels::unpack(&wheel, folder, wanted)?;
        ensure!(count > 0, "{} holds nothing of libtorch", wheel.display());
    }
    // The umbrella library has no code of its own and asks for CUDA's: a linker script stands in for it.
    fs::write(folder.join("lib/libtorch.so"), "INPUT(libtorch_cpu.so)\n")?;
    // torch-sys compares this with the version it was written for.
    fs::write(folder.join("build-version"), format!("{VERSION}\n"))?;
    Ok(())
}

/// Where a wheel's file goes in libtorch's folder, if it is needed there.
fn wanted(name: &str) -> Option<String> {
    if let Some(header) = name.strip_prefix("torch/include/") {
        return Some(format!("include/{header}"));
    }
    let (folder, file) = name.rsplit_once('/')?;
    let ours = folder == "torch/lib" || folder.starts_with("nvidia/");
    (ours && LIBRARIES.contains(&file)).then(|| format!("lib/{file}"))
}

fn is_whole(folder: &Path) -> bool {
    let version = fs::read_to_string(folder.join("build-version")).unwrap_or_default();
    version.trim() == VERSION && LIBRARIES.iter().all(|file| folder.join("lib").join(file).is_file())
}

/// Makes `link` lead to `folder`. Only a link is ever replaced.
fn point(link: &Path, folder: &Path) -> Result<()> {
    match fs::symlink_metadata(link) {
        Ok(old) if old.is_symlink() => fs::remove_file(link)?,
        Ok(_) => bail!("{} is in the way of the link to libtorch; move it away", link.display()),
        Err(_) => {}
    }
    println!("> linking libtorch to {}", folder.display());
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder, link).with_context(|| format!("cannot create {}", link.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_and_the_cpu_libraries_are_taken() {
        let check = |name: &str, place: Option<&str>| assert_eq!(wanted(name).as_deref(), place, "{name}");
        check("torch/lib/libtorch_cpu.so", Some("lib/libtorch_cpu.so"));
        check("torch/include/ATen/ATen.h", Some("include/ATen/ATen.h"));
        check("nvidia/cu13/lib/libcudart.so.13", Some("lib/libcudart.so.13"));
        check("torch/lib/libtorch_cuda.so", None);
        check("torch/lib/libtorch.so", None);
        check("functorch/libc10.so", None);
        check("torch/__init__.py", None);
    }

    #[test]
    fn folder_of_another_version_or_without_libraries_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_whole(folder.path()));
        fs::write(folder.path().join("build-version"), "2.12.0\n").unwrap();
        assert!(!is_whole(folder.path()));
    }

    #[cfg(unix)]
    #[test]
    fn a_stale_link_is_replaced_and_a_real_folder_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (link, real) = (folder.path().join("link"), folder.path().join("real"));
        point(&link, Path::new("/gone")).unwrap();
        point(&link, folder.path()).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), folder.path());
        fs::create_dir(&real).unwrap();
        assert!(point(&real, folder.path()).is_err());
    }
}
