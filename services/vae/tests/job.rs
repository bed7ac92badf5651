//! `vae train`: the real process, stopped, killed and started again; it ends with the weights of a training
//! that nobody disturbed, in the catalog. Needs libtorch; one thread.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod bars;

use std::{
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use artifacts::{Artifacts, Slot};
use domain::AutoencoderRecipe;
use prost::Message;
use proto::raw::deeper::catalog::v1 as catalog;

use crate::bars::{import, name, recipe};

/// More than any step and checkpoint take, less than a Spot machine leaves.
const STOP_LIMIT: Duration = Duration::from_secs(12);

fn start(folder: &Path, id: &str, recipe: &AutoencoderRecipe) -> Child {
    let AutoencoderRecipe { dataset, training_split, latent_dimension_count, hidden_size, epoch_count, .. } = recipe;
    let AutoencoderRecipe { batch_size, learning_rate, beta, seed, .. } = recipe;
    let spec = format!(
        "{{\"autoencoder_id\": \"{id}\", \"recipe\": {{\"dataset\": \"{dataset}\", \"training_split\": \
         \"{training_split}\", \"latent_dimension_count\": {latent_dimension_count}, \"hidden_size\": {hidden_size}, \
         \"epoch_count\": {epoch_count}, \"batch_size\": {batch_size}, \"learning_rate\": {learning_rate}, \"beta\": \
         {beta}, \"seed\": {seed}}}}}"
    );
    let file = folder.join(format!("{id}.json"));
    std::fs::write(&file, spec).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vae"));
    command.args(["--threads", "1", "train", "--config"]).arg(file).arg("--artifacts").arg(folder.join("store"));
    command.env("OMP_NUM_THREADS", "1").env("DEEPER_LOG", "warn").spawn().unwrap()
}

async fn begun(artifacts: &Artifacts, id: &str) {
    while artifacts.checkpoint_info(&name(id), Slot::Latest).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn digest(artifacts: &Artifacts, id: &str) -> String {
    let document = artifacts.document(&format!("catalog/autoencoders/{id}")).await.unwrap().expect("it is recorded");
    catalog::Autoencoder::decode(document.bytes).unwrap().digest
}

#[tokio::test]
async fn a_stopped_and_a_killed_training_go_on_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open_folder(&folder.path().join("store")).unwrap();
    import(&artifacts).await;
    let recipe = recipe(60);
    assert_eq!(start(folder.path(), "undisturbed", &recipe).wait().unwrap().code(), Some(0));

    let mut process = start(folder.path(), "disturbed", &recipe);
    begun(&artifacts, "disturbed").await;
    let asked_at = Instant::now();
    assert!(Command::new("kill").arg(process.id().to_string()).status().unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(75));
    assert!(asked_at.elapsed() < STOP_LIMIT, "{:?}", asked_at.elapsed());
    let stopped_with = artifacts.checkpoint_info(&name("disturbed"), Slot::Latest).await.unwrap().unwrap().digest;

    let mut process = start(folder.path(), "disturbed", &recipe);
    while artifacts.checkpoint_info(&name("disturbed"), Slot::Latest).await.unwrap().unwrap().digest == stopped_with {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.kill().unwrap();
    assert_eq!(process.wait().unwrap().code(), None);
    assert!(artifacts.document("catalog/autoencoders/disturbed").await.unwrap().is_none());

    assert_eq!(start(folder.path(), "disturbed", &recipe).wait().unwrap().code(), Some(0));
    assert_eq!(digest(&artifacts, "disturbed").await, digest(&artifacts, "undisturbed").await);
    let mut other = recipe.clone();
    other.seed += 1;
    assert_eq!(start(folder.path(), "disturbed", &other).wait().unwrap().code(), Some(1), "the name is taken");
}
