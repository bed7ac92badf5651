//! A training as a process of its own, with a known workshop: what it leaves in the store, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{path::Path, sync::Arc, time::Duration};

use artifacts::{Artifacts, IdxSplit, idx};
use domain::{Error, ImageBatch, ImageShape, ModelState, ResourceName, Result, Teacher};
use prost::Message;
use proto::raw::deeper::catalog::v1 as catalog;
use runtime::{gate::Gate, job::End, long::TrainingQueue};
use teacher::{
    Models,
    job::TeacherJob,
    known::{KnownWorkshop, LinearTeacher},
};
use tokio_util::sync::CancellationToken;

const SPEC: &str = r#"
teacher_id = "night"
display_name = "Trained at night"
creator = "ana"

[recipe]
train = "small_cnn"
dataset = "datasets/tiny"
training_split = "dev"
evaluation_split = "dev"
seed = 7
"#;

fn job(folder: &Path, text: &str) -> Result<TeacherJob> {
    let file = folder.join("job.toml");
    std::fs::write(&file, text).unwrap();
    TeacherJob::read(&file)
}

async fn store() -> Artifacts {
    let artifacts = Artifacts::in_memory();
    let images = ImageBatch::new(ImageShape::gray(2, 2), vec![255, 0, 0, 0, 0, 0, 0, 255]).unwrap();
    let split = IdxSplit { id: "dev".into(), images: idx::encode_images(&images), labels: idx::encode_labels(&[0, 0]) };
    let name = ResourceName::parse("datasets/tiny", ResourceName::DATASET).unwrap();
    artifacts.import_idx(&name, "Tiny", vec!["no".into(), "yes".into()], vec![split]).await.unwrap();
    artifacts
}

/// Label 0 for ink in the first pixel, label 1 for ink in the last.
fn models(artifacts: &Artifacts, step: Duration) -> Arc<Models> {
    let weights = vec![vec![1.0, 0.0, 0.0, 0.0], vec![0.0, 0.0, 0.0, 1.0]];
    let graduate = LinearTeacher::new(ImageShape::gray(2, 2), weights);
    let workshop = KnownWorkshop::new(graduate).with_steps(10, step);
    let gate = Gate::new();
    Arc::new(Models::new(Arc::new(workshop), artifacts.clone(), gate.clone(), TrainingQueue::new(gate), 1))
}

async fn recorded(artifacts: &Artifacts) -> Option<Teacher> {
    let document = artifacts.document("catalog/teachers/night").await.unwrap()?;
    Some(catalog::Teacher::decode(document.bytes).unwrap().try_into().unwrap())
}

#[tokio::test]
async fn a_finished_job_leaves_a_teacher_in_the_catalog_and_another_start_changes_nothing() {
    let (folder, artifacts) = (tempfile::tempdir().unwrap(), store().await);
    let never = CancellationToken::new();
    let run = || job(folder.path(), SPEC).unwrap().run(models(&artifacts, Duration::ZERO), &artifacts, &never);
    assert_eq!(run().await, Ok(End::Done(())));
    let teacher = recorded(&artifacts).await.unwrap();
    assert_eq!((teacher.state.clone(), teacher.creator.as_str()), (ModelState::Ready, "ana"));
    assert_eq!((teacher.accuracy, teacher.evaluated_example_count), (Some(0.5), 2));
    assert_eq!((teacher.recipe.seed, teacher.recipe.epoch_count, teacher.operation.as_str()), (7, 3, ""));
    assert_eq!(run().await, Ok(End::Done(())));
    assert_eq!(recorded(&artifacts).await, Some(teacher));

    let other = job(folder.path(), &SPEC.replace("seed = 7", "seed = 8")).unwrap();
    let refused = other.run(models(&artifacts, Duration::ZERO), &artifacts, &never).await;
    assert!(matches!(refused, Err(Error::AlreadyExists { kind: "TEACHER", .. })), "{refused:?}");
}

#[tokio::test]
async fn a_job_that_is_asked_to_stop_does_and_leaves_no_record() {
    let (folder, artifacts) = (tempfile::tempdir().unwrap(), store().await);
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let job = job(folder.path(), SPEC).unwrap();
    let ended = job.run(models(&artifacts, Duration::from_millis(50)), &artifacts, &shutdown).await;
    assert_eq!(ended, Ok(End::Stopped));
    assert_eq!(recorded(&artifacts).await, None);
}

#[test]
fn every_wrong_value_of_a_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = SPEC.replace("night", "Night").replace("datasets/tiny", "tiny");
    let told = job(folder.path(), &wrong).unwrap_err().to_string();
    assert!(told.contains("teacher_id") && told.contains("recipe.dataset"), "{told}");
    let told = job(folder.path(), &SPEC.replace("seed", "sead")).unwrap_err().to_string();
    assert!(told.contains("sead"), "{told}");
    let both = SPEC.replace("seed = 7", "fine_tune = \"teachers/a\"");
    assert!(job(folder.path(), &both).unwrap_err().to_string().contains("recipe.train"));
}
