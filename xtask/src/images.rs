//! `cargo xtask images`: the services as container images, made by buildah from programs that are compiled here.
//! No registry is asked: the images hold our files and those of this machine's Debian, and lie on nothing.

pub(crate) mod podman;
mod stage;

use crate::{command, place, setup, web};
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The tag of images that are made here; k8s/overlays/local names it.
const TAG: &str = "local";

/// Build the container images with buildah and list their sizes
///
/// They are called localhost/deeper/SERVICE:local and lie in podman's own store.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these; all when none is named
    #[arg(long = "service", value_enum)]
    services: Vec<Service>,
    /// Which libtorch the programs of teacher and vae are linked against
    #[arg(long, value_enum, default_value = "cpu")]
    torch: Torch,
    /// cargo's profile
    #[arg(long, default_value = "release")]
    profile: String,
    /// Lay the files of one service out in this folder instead of building an image (deploy/Dockerfile does)
    #[arg(long, value_name = "DIR")]
    stage_into: Option<PathBuf>,
}

/// What there is an image of.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Page and public API
    Orchestrator,
    /// Classifier
    Teacher,
    /// Autoencoder
    Vae,
    /// Distillation
    Student,
    /// Debian's Redis, so that the local overlay runs without a registry
    Redis,
}

/// Variants of libtorch.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Torch {
    /// The one that everything here is built with
    Cpu,
    /// PyTorch's own with all of CUDA, 4 GB
    Cuda,
}

impl Service {
    pub(crate) const ALL: [Self; 5] = [Self::Orchestrator, Self::Teacher, Self::Vae, Self::Student, Self::Redis];

    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no service is hidden from the command line").get_name().to_owned()
    }

    fn has_torch(self) -> bool {
        matches!(self, Self::Teacher | Self::Vae)
    }

    fn is_ours(self) -> bool {
        self != Self::Redis
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let services = if options.services.is_empty() { Service::ALL.to_vec() } else { options.services.clone() };
    compile(&services, options)?;
    if let Some(folder) = &options.stage_into {
        ensure!(services.len() == 1, "--stage-into lays out one service: name it with --service");
        return stage(services[0], options, folder);
    }
    podman::ensure()?;
    for service in &services {
        build(*service, options)?;
    }
    list()
}

/// All images with libtorch for the CPU, from programs of one of cargo's profiles.
pub(crate) fn build_all(profile: &str) -> Result<()> {
    run(&Options { services: Vec::new(), torch: Torch::Cpu, profile: profile.to_owned(), stage_into: None })
}

/// All programs in one call of cargo, so that nothing is compiled twice with other features.
fn compile(services: &[Service], options: &Options) -> Result<()> {
    let ours: Vec<String> = services.iter().filter(|it| it.is_ours()).map(|it| it.name()).collect();
    if services.contains(&Service::Redis) {
        setup::redis::ensure()?;
    }
    if ours.is_empty() {
        return Ok(());
    }
    let mut libtorch = None;
    if services.contains(&Service::Orchestrator) {
        setup::for_the_page()?;
    }
    if services.iter().any(|it| it.has_torch()) {
        match options.torch {
            Torch::Cpu => setup::for_building()?,
            Torch::Cuda => libtorch = Some(setup::for_building_with_cuda()?),
        }
    }
    let mut cargo = vec!["build".to_owned(), "--profile".to_owned(), options.profile.clone()];
    for name in &ours {
        cargo.extend(["--package".to_owned(), name.clone(), "--bin".to_owned(), name.clone()]);
    }
    let mut features: Vec<String> =
        services.iter().filter(|it| it.has_torch()).map(|it| format!("{}/torch", it.name())).collect();
    // A cluster's artifact store is a bucket.
    let stores = ["orchestrator", "teacher", "vae"];
    features.extend(ours.iter().filter(|it| stores.contains(&it.as_str())).map(|it| format!("{it}/cloud")));
    if !features.is_empty() {
        cargo.extend(["--features".to_owned(), features.join(",")]);
    }
    let mut cargo = command::cargo(cargo);
    if let Some(libtorch) = libtorch {
        cargo.env("LIBTORCH", libtorch);
    }
    command::run(&format!("compiling {} ({})", ours.join(", "), options.profile), &mut cargo)
}

fn stage(service: Service, options: &Options, folder: &Path) -> Result<()> {
    let program = if service.is_ours() {
        let profile = if options.profile == "dev" { "debug" } else { &options.profile };
        place::target().join(profile).join(service.name())
    } else {
        setup::redis::ensure()?
    };
    let mut image = stage::Image::of(&program, folder)?;
    match service {
        Service::Orchestrator => image.add_folder(&web::build()?, "page")?,
        Service::Redis => image.also_called("redis-server")?,
        Service::Teacher | Service::Vae if options.torch == Torch::Cuda => {
            image.add_libraries(&setup::libtorch_cuda::libraries()?)?;
        }
        Service::Teacher | Service::Vae | Service::Student => {}
    }
    image.finish()
}

fn build(service: Service, options: &Options) -> Result<()> {
    let folder = place::target().join("images").join(service.name());
    fs::remove_dir_all(&folder).ok();
    stage(service, options, &folder)?;
    let suffix = if options.torch == Torch::Cuda && service.has_torch() { "-cuda" } else { "" };
    let image = format!("{}{suffix}:{TAG}", name(service));
    let mut buildah = podman::command("buildah");
    // The same files make the same layers, whenever they are built.
    buildah.args(["bud", "--quiet", "--isolation", "chroot", "--timestamp", "0", "--file"]);
    buildah.arg(place::root().join("deploy/Dockerfile"));
    buildah.args(["--build-arg", "FILES=staged", "--build-arg", &format!("SERVICE={}", service.name())]);
    buildah.args(["--tag", &image]).arg(&folder);
    command::run(&format!("building {image}"), &mut buildah)
}

/// The image of a service, without its tag.
fn name(service: Service) -> String {
    format!("localhost/deeper/{}", service.name())
}

fn list() -> Result<()> {
    let mut podman = podman::command("podman");
    let format: &OsStr = "table {{.Repository}}:{{.Tag}}\t{{.Size}}".as_ref();
    podman.args(["images", "--filter", "reference=localhost/deeper/*", "--format"]).arg(format);
    command::run("listing the images", &mut podman)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_overlay_runs_the_images_that_are_made_here() {
        let overlay = fs::read_to_string(place::root().join("k8s/overlays/local/kustomization.yaml")).unwrap();
        for service in Service::ALL {
            let wanted = format!("newName: {}\n    newTag: {TAG}", name(service));
            assert!(overlay.contains(&wanted), "the overlay lacks {wanted}");
        }
    }
}
