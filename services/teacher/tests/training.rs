//! Trainings of the small network through the models and the artifact store, one thread: killed and
//! resumed, cancelled, fine-tuned.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use artifacts::{Artifacts, IdxSplit, Slot, idx};
use domain::{Architecture, Error, ImageBatch, ImageShape, ResourceName, Result, TeacherRecipe, TeacherSource};
use runtime::{gate::Gate, long::TrainingQueue};
use teacher::{ComputeConfig, Models, torch_models};
use tokio_util::sync::CancellationToken;

const FOLDER: &str = "TEACHER_TEST_KILL_FOLDER";

fn teacher() -> ResourceName {
    ResourceName::parse("teachers/killed", ResourceName::TEACHER).unwrap()
}

fn dataset() -> ResourceName {
    ResourceName::parse("datasets/bars", ResourceName::DATASET).unwrap()
}

/// Four labels: where the bright row is, with some noise.
fn bars() -> IdxSplit {
    let shape = ImageShape::gray(12, 12);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..600usize {
        let label = i % 4;
        let noise = |p: usize| ((i * 7_919 + p * 104_729) % 61) as u8;
        pixels.extend((0..144).map(|p| if p / 12 / 3 == label { 180 + noise(p) } else { noise(p) }));
        labels.push(label as u8);
    }
    let images = idx::encode_images(&ImageBatch::new(shape, pixels).unwrap());
    IdxSplit { id: "train".into(), images, labels: idx::encode_labels(&labels) }
}

fn recipe() -> TeacherRecipe {
    TeacherRecipe {
        source: TeacherSource::Train(Architecture::SmallCnn),
        dataset: dataset(),
        training_split: "train".into(),
        evaluation_split: "train".into(),
        epoch_count: 40,
        batch_size: 20,
        learning_rate: 0.05,
        weight_decay: 5e-4,
        seed: 11,
    }
}

async fn models(artifacts: &Artifacts) -> Result<Arc<Models>> {
    if artifacts.dataset(&dataset()).await.is_err() {
        let labels = (0..4).map(|label| label.to_string()).collect();
        artifacts.import_idx(&dataset(), "Bars", labels, vec![bars()]).await?;
    }
    let gate = Gate::new();
    torch_models(&ComputeConfig::for_testing(), artifacts.clone(), gate.clone(), TrainingQueue::new(gate))
}

/// Trains in `folder` and answers the digest of the weights.
async fn train(folder: &Path) -> Result<String> {
    let models = models(&Artifacts::open_folder(folder)?).await?;
    let trained = models.train(teacher(), recipe(), CancellationToken::new()).unwrap().finished().await?;
    Ok(trained.digest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_training_ends_within_a_step_and_keeps_its_checkpoint() {
    let artifacts = Artifacts::in_memory();
    let models = models(&artifacts).await.unwrap();
    let endless = TeacherRecipe { epoch_count: 1_000, ..recipe() };
    let mut task = models.train(teacher(), endless.clone(), CancellationToken::new()).unwrap();
    task.progress.wait_for(|progress| progress.step >= 7).await.unwrap();
    task.cancel();
    let cancelled_at = task.progress.borrow().step;
    let progress = task.progress.clone();
    assert_eq!(task.finished().await, Err(Error::Cancelled));
    // One step was on its way, and one more may have begun before the flag was seen.
    assert!(progress.borrow().step <= cancelled_at + 2, "went on from {cancelled_at} to {}", progress.borrow().step);
    assert!(matches!(models.warm(&teacher()).await, Err(Error::ModelNotReady { .. })));
    let mut task = models.train(teacher(), endless, CancellationToken::new()).unwrap();
    let resumed_at = task.progress.wait_for(|progress| progress.step > 0).await.unwrap().step;
    assert!(resumed_at >= cancelled_at, "{resumed_at} is before {cancelled_at}");
    task.cancel();
    assert_eq!(task.finished().await, Err(Error::Cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn fine_tuning_starts_from_the_base_and_an_equal_recipe_is_not_trained_twice() {
    let artifacts = Artifacts::in_memory();
    let models = models(&artifacts).await.unwrap();
    let base = TeacherRecipe { epoch_count: 3, ..recipe() };
    let first = models.train(teacher(), base.clone(), CancellationToken::new()).unwrap().finished().await.unwrap();
    let again = models.train(teacher(), base, CancellationToken::new()).unwrap();
    let progress = again.progress.clone();
    assert_eq!(again.finished().await, Ok(first));
    assert_eq!(progress.borrow().step, 0, "nothing was left to train");
    let tuned = ResourceName::parse("teachers/tuned", ResourceName::TEACHER).unwrap();
    // A rate of nearly nothing: what it knows in its first epoch, it knows from the base.
    let recipe =
        TeacherRecipe { source: TeacherSource::FineTune(teacher()), epoch_count: 1, learning_rate: 1e-9, ..recipe() };
    let task = models.train(tuned.clone(), recipe.clone(), CancellationToken::new()).unwrap();
    let progress = task.progress.clone();
    let trained = task.finished().await.unwrap();
    assert_eq!(trained.architecture, Architecture::SmallCnn);
    assert!(progress.borrow().accuracy > 0.95, "accuracy {}", progress.borrow().accuracy);
    let missing = ResourceName::parse("teachers/missing", ResourceName::TEACHER).unwrap();
    let recipe = TeacherRecipe { source: TeacherSource::FineTune(missing), ..recipe };
    let outcome = models.train(tuned.clone(), recipe, CancellationToken::new()).unwrap().finished().await;
    assert!(matches!(outcome, Err(Error::NotFound { kind: "TEACHER", .. })), "{outcome:?}");
    assert_eq!(models.warm(&tuned).await.map(|description| description.digest), Ok(trained.digest));
}

/// Not a test of its own: what the test below starts and kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the test below"]
async fn train_until_killed() {
    let folder = std::env::var_os(FOLDER).expect("started by the other test");
    train(Path::new(&folder)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_training_resumes_to_the_same_weights() {
    let (left_alone, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "train_until_killed"])
        .env(FOLDER, killed.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let artifacts = Artifacts::open_folder(killed.path()).unwrap();
    while artifacts.checkpoint_info(&teacher(), Slot::Latest).await.unwrap().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "the training ended before it could be killed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let finished = artifacts.checkpoint_info(&teacher(), Slot::Final).await.unwrap();
    assert!(finished.is_none(), "the training was over before it was killed");
    let resumed = train(killed.path()).await.unwrap();
    assert_eq!(resumed, train(left_alone.path()).await.unwrap());
    let leftover = artifacts.checkpoint_info(&teacher(), Slot::Latest).await.unwrap();
    assert!(leftover.is_none(), "a finished training leaves no checkpoint of its way");
}
