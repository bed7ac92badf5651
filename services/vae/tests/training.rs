//! Trainings from and into an artifact store, on a small made-up data set: what is learned, resuming to the
//! same bits, cancelling, and serving what was trained. Needs libtorch; one thread.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod bars;

use artifacts::{Artifacts, Slot};
use domain::{AutoencoderRecipe, Error, Progress};
use runtime::{
    gate::Gate,
    long::{LongTask, TrainingQueue},
};
use tokio_util::sync::CancellationToken;
use vae::{
    models::{Models, Trained},
    stored::StoredModels,
};

use crate::bars::{SHAPE, bars, import, name, recipe};

async fn store() -> (Artifacts, StoredModels) {
    let artifacts = Artifacts::in_memory();
    import(&artifacts).await;
    let models = models(&artifacts);
    (artifacts, models)
}

/// As a new process would have it.
fn models(artifacts: &Artifacts) -> StoredModels {
    let gate = Gate::new();
    StoredModels::new(artifacts.clone(), gate.clone(), TrainingQueue::new(gate), tch::Device::Cpu, 1)
}

fn start(models: &StoredModels, id: &str, recipe: &AutoencoderRecipe) -> LongTask<Progress, Trained> {
    models.train(name(id), recipe.clone(), CancellationToken::new()).unwrap()
}

#[tokio::test]
async fn a_training_learns_and_its_result_is_served() {
    let (artifacts, models) = store().await;
    let recipe = recipe(60);
    let task = start(&models, "bars", &recipe);
    let progress = task.progress.clone();
    let trained = task.finished().await.unwrap();
    let progress = progress.borrow().clone();
    let steps = 60 * 21;
    assert_eq!((progress.epoch, progress.step, progress.step_count), (60, steps, steps));
    assert_eq!(progress.loss, trained.loss);
    let curve = progress.loss_curve;
    assert!(trained.loss < 0.6 * curve[0].loss, "{} after {}", trained.loss, curve[0].loss);

    let model = models.model(&name("bars")).await.unwrap();
    assert_eq!((model.shape(), model.dimension_count()), (SHAPE, 4));
    let images = bars().slice(0, 200);
    let means = model.encode(images.clone()).await.unwrap().into_iter().map(|latent| latent.mean).collect();
    let decoded = model.decode(means, None).await.unwrap();
    let squares = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>();
    let blank = squares(images.pixels(), &vec![0; images.pixels().len()]);
    let share = squares(images.pixels(), decoded.pixels()) / blank;
    assert!(share < 0.2, "{share} of the ink is wrong");

    let again = start(&models, "bars", &recipe).finished().await.unwrap();
    assert_eq!(again, trained, "a repeated call answers at once");
    assert!(artifacts.checkpoint_info(&name("bars"), Slot::Latest).await.unwrap().is_none(), "the state is gone");
}

#[tokio::test]
async fn a_training_that_was_stopped_anywhere_ends_with_the_same_bits() {
    let (artifacts, first_process) = store().await;
    let recipe = recipe(3);
    let straight = start(&first_process, "straight", &recipe).finished().await.unwrap();
    let mut stops = 0;
    let resumed = loop {
        let mut task = start(&models(&artifacts), "resumed", &recipe);
        // Stopped in the middle of its work, as soon as it has done anything.
        let before = task.progress.wait_for(|progress| progress.step_count > 0).await.map(|progress| progress.step);
        let before = before.unwrap_or(0);
        task.progress.wait_for(|progress| progress.step > before).await.ok();
        task.cancel();
        match task.finished().await {
            Ok(trained) => break trained,
            Err(error) => assert_eq!(error, Error::Cancelled),
        }
        stops += 1;
        assert!(stops < 100, "every run gets on");
    };
    assert_eq!(resumed, straight);
}

#[tokio::test]
async fn another_recipe_starts_anew() {
    let (_, models) = store().await;
    let first = start(&models, "a", &recipe(1)).finished().await.unwrap();
    let other = AutoencoderRecipe { seed: 2, ..recipe(1) };
    let second = start(&models, "a", &other).finished().await.unwrap();
    assert_ne!(first.digest, second.digest);
    let fresh = start(&models, "b", &other).finished().await.unwrap();
    assert_eq!(second.digest, fresh.digest);
}

#[tokio::test]
async fn a_model_that_is_not_there_says_why() {
    let (artifacts, models) = store().await;
    let absent = models.model(&name("bars")).await.err().unwrap();
    assert!(matches!(absent, Error::NotFound { kind: "AUTOENCODER", .. }), "{absent:?}");
    artifacts.put_checkpoint(&name("bars"), Slot::Latest, vec![1], "").await.unwrap();
    let young = models.model(&name("bars")).await.err().unwrap();
    assert!(matches!(young, Error::ModelNotReady { .. }), "{young:?}");
}

#[tokio::test]
async fn a_learning_rate_that_is_too_large_is_told_as_such() {
    let (_, models) = store().await;
    let wild = AutoencoderRecipe { learning_rate: 1.0, beta: 100.0, ..recipe(50) };
    let error = start(&models, "wild", &wild).finished().await.unwrap_err();
    assert!(matches!(error, Error::FailedPrecondition { reason: "TRAINING_DIVERGED", .. }), "{error:?}");
}

#[tokio::test]
async fn a_data_set_that_is_not_there_is_named() {
    let (_, models) = store().await;
    let lost = AutoencoderRecipe { training_split: "dev".to_owned(), ..recipe(1) };
    let error = start(&models, "lost", &lost).finished().await.unwrap_err();
    assert!(matches!(error, Error::NotFound { kind: "SPLIT", .. }), "{error:?}");
}
