//! A training that is killed (SIGKILL, no chance to clean up) and resumed ends with the same weights as
//! one that was left alone.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use artifacts::{Artifacts, IdxSplit, Slot, idx};
use domain::{Architecture, ImageBatch, ImageShape, ResourceName, Result, TeacherRecipe, TeacherSource};
use runtime::{gate::Gate, long::TrainingQueue};
use teacher::{ComputeConfig, torch_models};
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

/// Trains in `folder` and answers the digest of the weights.
async fn train(folder: &Path) -> Result<String> {
    let artifacts = Artifacts::open_folder(folder)?;
    let labels = (0..4).map(|label| label.to_string()).collect();
    if artifacts.dataset(&dataset()).await.is_err() {
        artifacts.import_idx(&dataset(), "Bars", labels, vec![bars()]).await?;
    }
    let recipe = TeacherRecipe {
        source: TeacherSource::Train(Architecture::SmallCnn),
        dataset: dataset(),
        training_split: "train".into(),
        evaluation_split: "train".into(),
        epoch_count: 40,
        batch_size: 20,
        learning_rate: 0.05,
        weight_decay: 5e-4,
        seed: 11,
    };
    let gate = Gate::new();
    let models = torch_models(&ComputeConfig::for_testing(), artifacts, gate.clone(), TrainingQueue::new(gate))?;
    let trained = Arc::clone(&models).train(teacher(), recipe, CancellationToken::new()).finished().await?;
    Ok(trained.digest)
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
