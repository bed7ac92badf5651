//! What a fresh system starts with: ordinary operations with fixed request ids, so that a restart finds
//! or resumes them, and what a user has deleted since stays deleted.

use std::path::PathBuf;

use artifacts::Artifacts;
use domain::{Architecture, AutoencoderRecipe, Error, ResourceName, Result, TeacherRecipe, TeacherSource};

use crate::{
    caller::Caller,
    catalog::{Catalog, NewAutoencoder, NewTeacher},
};

/// Which classifier a fresh system starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BootstrapTeacher {
    /// The real one: minutes of two cores.
    Resnet50,
    /// Trains in seconds, with a small autoencoder: for tests and first looks.
    SmallCnn,
    /// No model is made.
    None,
}

/// All that is made at the first start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bootstrap {
    /// Folder with MNIST's four IDX files, imported as `datasets/mnist` unless that is there.
    pub mnist_folder: Option<PathBuf>,
    /// Trained in this order, each after the one before it.
    pub models: Vec<BootstrapModel>,
}

/// A model that is made at the first start.
#[derive(Debug, Clone, PartialEq)]
pub enum BootstrapModel {
    /// A classifier.
    Teacher(NewTeacher),
    /// A VAE.
    Autoencoder(NewAutoencoder),
}

impl Bootstrap {
    /// The default story on MNIST: a teacher that learns from the 10,000 images and is judged on the
    /// 60,000 (swapped on purpose, so that it errs), and a VAE that learns from the 60,000.
    pub fn mnist(folder: Option<PathBuf>, choice: BootstrapTeacher) -> Self {
        let models = match choice {
            BootstrapTeacher::Resnet50 => vec![
                teacher("resnet50-mnist", "ResNet-50", Architecture::Resnet50, "7d1f6c0a-52c4-4b0e-9a3f-6d6e69737401"),
                autoencoder("vae-10", "VAE, 10 dimensions", "7d1f6c0a-52c4-4b0e-9a3f-6d6e69737402", |_| {}),
            ],
            BootstrapTeacher::SmallCnn => vec![
                teacher("small-cnn-mnist", "Small CNN", Architecture::SmallCnn, "7d1f6c0a-52c4-4b0e-9a3f-6d6e69737403"),
                autoencoder("vae-10-small", "Small VAE", "7d1f6c0a-52c4-4b0e-9a3f-6d6e69737404", |recipe| {
                    recipe.training_split = "t10k".to_owned();
                    recipe.hidden_size = 256;
                    recipe.batch_size = 100;
                    recipe.epoch_count = 8;
                }),
            ],
            BootstrapTeacher::None => Vec::new(),
        };
        Self { mnist_folder: folder, models }
    }
}

fn mnist() -> ResourceName {
    ResourceName::parse("datasets/mnist", ResourceName::DATASET).expect("the name is well formed")
}

fn teacher(id: &str, display_name: &str, architecture: Architecture, request_id: &str) -> BootstrapModel {
    BootstrapModel::Teacher(NewTeacher {
        id: id.to_owned(),
        display_name: display_name.to_owned(),
        recipe: TeacherRecipe {
            source: TeacherSource::Train(architecture),
            dataset: mnist(),
            training_split: "t10k".to_owned(),
            evaluation_split: "train".to_owned(),
            epoch_count: 3,
            batch_size: 100,
            learning_rate: 0.08,
            weight_decay: 5e-4,
            seed: 1,
        },
        request_id: request_id.to_owned(),
        fingerprint: "bootstrap".to_owned(),
        caller: Caller::system(),
    })
}

fn autoencoder(
    id: &str,
    display_name: &str,
    request_id: &str,
    adjust: impl FnOnce(&mut AutoencoderRecipe),
) -> BootstrapModel {
    let mut recipe = AutoencoderRecipe::defaults(mnist(), "train".to_owned());
    adjust(&mut recipe);
    BootstrapModel::Autoencoder(NewAutoencoder {
        id: id.to_owned(),
        display_name: display_name.to_owned(),
        recipe,
        request_id: request_id.to_owned(),
        fingerprint: "bootstrap".to_owned(),
        caller: Caller::system(),
    })
}

/// Imports and begins what is not there yet. Does not wait for the trainings.
pub async fn run(plan: Bootstrap, artifacts: &Artifacts, catalog: &Catalog) -> Result<()> {
    if let Some(folder) = &plan.mnist_folder {
        artifacts.import_mnist(folder).await?;
        // Those who watch learn of the data set.
        catalog.datasets().await?;
    }
    for model in plan.models {
        let begun = match model {
            BootstrapModel::Teacher(new) => catalog.create_teacher(new).await,
            BootstrapModel::Autoencoder(new) => catalog.create_autoencoder(new).await,
        };
        match begun {
            // Its operation has been forgotten since.
            Ok(_) | Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
