//! The store in buckets, against a server of the test's own that speaks S3 and Google Cloud Storage. With
//! `DEEPER_TEST_S3_ENDPOINT` (`http://host:port`, a bucket `deeper-test` in it) also against another S3.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use artifacts::{Artifacts, Condition, Evaluation, IdxSplit, Slot, idx};
use domain::{Error, ImageBatch, ImageShape, ResourceName};

use crate::fake::Fake;

const BUCKET: &str = "deeper-test";

/// Opens a bucket twice, as two processes do.
fn opened(scheme: &str, prefix: &str, variables: &[(&str, &str)]) -> [Artifacts; 2] {
    let location = format!("{scheme}://{BUCKET}/{prefix}").parse().unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    [(), ()].map(|()| Artifacts::open_with(&location, variables.clone()).unwrap())
}

fn s3(url: &str, prefix: &str) -> [Artifacts; 2] {
    let variables = [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "somebody"),
        ("AWS_SECRET_ACCESS_KEY", "something"),
        ("AWS_REGION", "us-east-1"),
        ("UNRELATED", "not read"),
    ];
    opened("s3", prefix, &variables)
}

fn gcs(url: &str, prefix: &str) -> [Artifacts; 2] {
    let variables = [("GOOGLE_BASE_URL", url), ("GOOGLE_ALLOW_HTTP", "true"), ("GOOGLE_BEARER_TOKEN", "something")];
    opened("gs", prefix, &variables)
}

fn name(text: &str, collection: &[&str]) -> ResourceName {
    ResourceName::parse(text, collection).unwrap()
}

fn dataset() -> ResourceName {
    name("datasets/tiny", ResourceName::DATASET)
}

fn teacher() -> ResourceName {
    name("teachers/t", ResourceName::TEACHER)
}

/// What one process puts there the other one has, once and on its conditions.
async fn check([a, b]: [Artifacts; 2]) {
    let labels = [0, 1, 1];
    let images = ImageBatch::new(ImageShape::gray(2, 2), (0..12).collect()).unwrap();
    let split =
        || IdxSplit { id: "train".into(), images: idx::encode_images(&images), labels: idx::encode_labels(&labels) };
    let words = || vec!["no".to_owned(), "yes".to_owned()];
    a.import_idx(&dataset(), "Tiny", words(), vec![split()]).await.unwrap();
    let again = b.import_idx(&dataset(), "Tiny", words(), vec![split()]).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })));
    assert_eq!(b.datasets().await.unwrap().len(), 1);
    assert_eq!(b.split(&dataset(), "train").await.unwrap().labels, labels);

    for round in 0..2u8 {
        let digest = a.put_checkpoint(&teacher(), Slot::Final, vec![round; 5_000], "facts").await.unwrap();
        let read = b.checkpoint(&teacher(), Slot::Final).await.unwrap().unwrap();
        assert_eq!((read.digest, &read.bytes[..], read.config.as_str()), (digest, &[round; 5_000][..], "facts"));
    }
    let evaluation = Evaluation {
        logits: vec![0.5; 6],
        label_count: 2,
        teacher_digest: "ab".into(),
        engine: "known answers".into(),
    };
    a.put_evaluation(&teacher(), &dataset(), "train", &evaluation).await.unwrap();
    assert_eq!(*b.evaluation(&teacher(), &dataset(), "train").await.unwrap().unwrap(), evaluation);

    for id in 0..7 {
        let path = format!("catalog/teachers/{id}");
        a.put_document(&path, id.to_string(), Condition::Absent).await.unwrap();
        let taken = b.put_document(&path, "other", Condition::Absent).await;
        assert!(matches!(taken, Err(Error::AlreadyExists { .. })));
    }
    assert_eq!(b.documents("catalog").await.unwrap().len(), 7, "on several pages");
    let before = a.document_stamps("catalog").await.unwrap();
    let start = b.document("catalog/teachers/3").await.unwrap().unwrap().version;
    let writes = (0..8).map(|i| {
        let (store, start) = (if i % 2 == 0 { a.clone() } else { b.clone() }, start.clone());
        async move {
            store.put_document("catalog/teachers/3", format!("writer {i}"), Condition::Unchanged(start)).await
        }
    });
    let written = futures::future::join_all(writes).await;
    assert_eq!(written.iter().filter(|written| written.is_ok()).count(), 1, "{written:?}");
    let after = b.document_stamps("catalog").await.unwrap();
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert_eq!((after.len(), moved), (7, 1));

    a.delete_model(&teacher()).await.unwrap();
    assert!(b.checkpoint(&teacher(), Slot::Final).await.unwrap().is_none());
    assert!(b.evaluation(&teacher(), &dataset(), "train").await.unwrap().is_none());
    a.delete_document("catalog/teachers/3").await.unwrap();
    a.delete_document("catalog/teachers/3").await.unwrap();
    assert!(b.document("catalog/teachers/3").await.unwrap().is_none());
}

#[tokio::test]
async fn a_bucket_of_s3_is_a_store() {
    let url = Fake::default().serve().await;
    check(s3(&url, "")).await;
    check(s3(&url, "team/one")).await;
}

#[tokio::test]
async fn a_bucket_of_google_cloud_storage_is_a_store() {
    let url = Fake::default().serve().await;
    check(gcs(&url, "")).await;
    check(gcs(&url, "team/one")).await;
}

#[tokio::test]
async fn another_s3_is_a_store() {
    let Ok(url) = std::env::var("DEEPER_TEST_S3_ENDPOINT") else {
        eprintln!("skipped: DEEPER_TEST_S3_ENDPOINT is not set");
        return;
    };
    check(s3(&url, "a/prefix")).await;
}

#[tokio::test]
async fn damaged_objects_are_told_of() {
    let fake = Fake::default();
    let [store, other] = s3(&fake.serve().await, "");
    let images = ImageBatch::new(ImageShape::gray(2, 2), vec![7; 4]).unwrap();
    let split = IdxSplit { id: "train".into(), images: idx::encode_images(&images), labels: idx::encode_labels(&[0]) };
    store.import_idx(&dataset(), "Tiny", vec!["no".into()], vec![split]).await.unwrap();
    store.put_checkpoint(&teacher(), Slot::Final, vec![1; 100], "").await.unwrap();
    store.put_document("specs/a", "text", Condition::Always).await.unwrap();
    assert_eq!(fake.damage("train.images") + fake.damage(".safetensors") + fake.damage("specs/a"), 3);
    let reason = |error| match error {
        Error::FailedPrecondition { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(other.split(&dataset(), "train").await.unwrap_err()), "DATASET_DAMAGED");
    assert_eq!(reason(other.checkpoint(&teacher(), Slot::Final).await.unwrap_err()), "CHECKPOINT_DAMAGED");
    assert_eq!(reason(other.document("specs/a").await.unwrap_err()), "DOCUMENT_DAMAGED");
}

#[tokio::test]
async fn a_bucket_without_credentials_or_server_is_a_typed_failure() {
    let [store, _] = s3("http://127.0.0.1:9", "");
    let begun_at = std::time::Instant::now();
    let read = store.document("specs/a").await;
    assert!(matches!(read, Err(Error::UpstreamUnavailable { .. })), "{read:?}");
    assert!(begun_at.elapsed().as_secs() < 60);
}
