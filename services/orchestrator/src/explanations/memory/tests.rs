//! The caches before a shared store: what comes back is what was put there, whoever put it.

mod damage;
mod turns;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    Fidelity, Heatmap, Image, ImageBatch, ImageShape, Label, Latent, LinearClassifier, Logits, NeighborhoodSpec,
    ResourceName, Stability, Stage, Student, StudentSpec, Temperature, fidelity::InstanceFit,
};

use super::*;
use crate::{
    explanations::neighborhood::Chunk,
    ports::{Acquired, Lease},
};

const SHAPE: ImageShape = ImageShape::gray(28, 28);

fn image(seed: usize) -> Image {
    let pixels: Vec<u8> = (0..SHAPE.pixel_count()).map(|p| ((p * (seed + 3)) % 251 / 40 * 40) as u8).collect();
    Image::new(SHAPE, pixels).unwrap()
}

fn question_of(image: Image, neighbor_count: usize) -> Question {
    let name = |name: &str, collection| ResourceName::parse(name, collection).unwrap();
    Question {
        student_name: name("explanations/x/students/default", ResourceName::STUDENT),
        teacher: name("teachers/t", ResourceName::TEACHER),
        teacher_digest: "t1 f32".into(),
        autoencoder: name("autoencoders/a", ResourceName::AUTOENCODER),
        autoencoder_digest: "a1".into(),
        image,
        gold_label: Some(Label(1)),
        neighborhood: NeighborhoodSpec { neighbor_count, ..Default::default() },
        student_spec: StudentSpec::default(),
    }
}

fn question(neighbor_count: usize) -> Question {
    question_of(image(0), neighbor_count)
}

fn logits(i: usize) -> Logits {
    Logits::new(vec![i as f32, -0.5]).unwrap()
}

fn instance() -> EncodedInstance {
    EncodedInstance {
        image: image(0),
        latent: Latent::new(vec![0.25, -1.5], vec![-3.0, -4.0]).unwrap(),
        logits: logits(1),
        reconstruction: image(7),
        reconstruction_logits: logits(2),
    }
}

/// The first `count` neighbors, in chunks of 125.
fn neighbors(count: usize) -> Neighborhood {
    let mut neighborhood = Neighborhood::default();
    for start in (0..count).step_by(125) {
        let indices = start..(start + 125).min(count);
        let images: Vec<Image> = indices.clone().map(image).collect();
        neighborhood.push(Chunk {
            points: indices.clone().map(|i| vec![i as f32, 0.5]).collect(),
            images: ImageBatch::from_images(SHAPE, &images).unwrap(),
            logits: indices.map(logits).collect(),
        });
    }
    neighborhood
}

fn student(neighbor_count: usize) -> Student {
    let map = |value: f32| Heatmap::new(SHAPE, vec![value; SHAPE.pixel_count()]).unwrap();
    let weights = vec![vec![0.5; SHAPE.pixel_count()], vec![-0.25; SHAPE.pixel_count()]];
    let fit = InstanceFit { agrees: true, probability_gap: 0.125 };
    Student {
        name: question(neighbor_count).student_name,
        spec: StudentSpec::default(),
        neighbor_count,
        classifier: LinearClassifier::new(SHAPE, weights, vec![0.1, 0.2]).unwrap(),
        contribution_maps: vec![map(0.5), map(-1.0)],
        contrast_map: map(0.75),
        predicted_label: Label(0),
        contrast_label: Label(1),
        student_labels: logits(1).soft_labels(Temperature::TWO),
        teacher_labels: logits(2).soft_labels(Temperature::TWO),
        fidelity: Fidelity {
            held_out_neighbor_count: neighbor_count,
            cross_fitted: true,
            top1_agreement: 0.9,
            majority_baseline: 0.6,
            mean_kl: 0.01,
            constant_kl: 0.2,
            r_squared: 0.95,
            instance_held_out: fit,
            instance_fitted: fit,
            stability: Stability { split_half_cosine: 0.7 },
            label_counts: vec![30, 10],
        },
    }
}

fn answer(neighbor_count: usize) -> Snapshot {
    Snapshot {
        stage: Stage::Complete,
        instance: Some(Arc::new(instance())),
        neighborhood: neighbors(neighbor_count),
        student: Some(Arc::new(student(neighbor_count))),
    }
}

/// The images, points and answers, however they are cut into chunks.
fn content(neighborhood: &Neighborhood) -> Option<Chunk> {
    neighborhood.range(0, usize::MAX)
}

/// A store whose values a test can take and change.
#[derive(Default)]
struct Bench(Mutex<HashMap<String, Bytes>>);

impl Bench {
    fn key_of(&self, kind: Kind) -> String {
        let marked = format!(":{}:", kind.name());
        let values = self.0.lock().unwrap();
        let key = values.keys().find(|key| key.contains(&marked));
        key.unwrap_or_else(|| panic!("no {} among {:?}", kind.name(), values.keys())).clone()
    }

    fn value(&self, key: &str) -> Bytes {
        self.0.lock().unwrap()[key].clone()
    }

    fn set(&self, key: &str, value: Bytes) {
        self.0.lock().unwrap().insert(key.to_owned(), value);
    }

    fn remove(&self, key: &str) {
        self.0.lock().unwrap().remove(key);
    }
}

#[async_trait]
impl Store for Bench {
    fn is_shared(&self) -> bool {
        true
    }

    async fn get(&self, keys: &[String]) -> Vec<Option<Bytes>> {
        let values = self.0.lock().unwrap();
        keys.iter().map(|key| values.get(key).cloned()).collect()
    }

    async fn put(&self, values: Vec<(String, Bytes)>, _: Duration) -> bool {
        self.0.lock().unwrap().extend(values);
        true
    }

    async fn acquire(&self, _: &str, _: Duration) -> Acquired {
        Acquired::Unknown
    }

    async fn renew(&self, _: &Lease, _: Duration) -> bool {
        false
    }

    async fn release(&self, _: &Lease) {}
}

/// A store in which one replica has put an instance and an answer of so many neighbors.
async fn filled(neighbor_count: usize) -> Arc<Bench> {
    let bench = Arc::new(Bench::default());
    let memory = Memory::over(bench.clone());
    let question = question(neighbor_count);
    memory.instance((&question).into(), async { Ok(instance()) }).await.unwrap();
    memory.share(&question, &answer(neighbor_count), true, None).await;
    memory.shared.put_progress(&question, &answer(neighbor_count)).await;
    bench
}

async fn found(memory: &Memory, question: &Question) -> Option<Snapshot> {
    memory.shared.answer(question).await
}

#[tokio::test]
async fn another_replica_finds_the_same_instance_and_answer() {
    // Two chunks: 655 neighbors of this size fill one.
    let memory = Memory::over(filled(700).await);
    let question = question(700);
    let never = async { panic!("it is known") };
    assert_eq!(*memory.instance((&question).into(), never).await.unwrap(), instance());
    let found = found(&memory, &question).await.unwrap();
    let expected = answer(700);
    assert_eq!((found.stage, found.instance, found.student), (expected.stage, expected.instance, expected.student));
    assert_eq!(content(&found.neighborhood), content(&expected.neighborhood));
}

#[tokio::test]
async fn a_larger_neighborhood_extends_a_smaller_one() {
    let bench = filled(300).await;
    let memory = Memory::over(bench.clone());
    assert_eq!(content(&memory.neighborhood(&question(200)).await), content(&neighbors(200)));
    assert_eq!(content(&memory.neighborhood(&question(2_000)).await), content(&neighbors(300)));

    memory
        .share(&question(1_400), &Snapshot { neighborhood: neighbors(1_400), ..Default::default() }, false, None)
        .await;
    let other = Memory::over(bench.clone());
    assert_eq!(content(&other.neighborhood(&question(1_400)).await), content(&neighbors(1_400)));
    // What one process has already, it does not read again.
    other.keep_neighborhood(&question(700), neighbors(700)).await;
    assert_eq!(content(&other.neighborhood(&question(1_000)).await), content(&neighbors(1_000)));
    // Fewer do not replace more.
    other.share(&question(32), &Snapshot { neighborhood: neighbors(32), ..Default::default() }, false, None).await;
    assert_eq!(Memory::over(bench).neighborhood(&question(1_400)).await.len(), 1_400);
}

#[tokio::test]
async fn other_questions_find_nothing() {
    let memory = Memory::over(filled(40).await);
    let same = question(40);
    for other in [
        question_of(image(1), 40),
        Question { teacher_digest: "t2 f32".into(), ..same.clone() },
        Question { teacher_digest: "t1 bf16".into(), ..same.clone() },
        Question { autoencoder_digest: "a2".into(), ..same.clone() },
        Question { neighborhood: NeighborhoodSpec { seed: 8, ..same.neighborhood.clone() }, ..same.clone() },
    ] {
        assert!(found(&memory, &other).await.is_none());
        assert!(memory.neighborhood(&other).await.is_empty());
    }
    // These share the neighbors, not the answer.
    for other in [
        Question { gold_label: None, ..same.clone() },
        Question { student_spec: StudentSpec { l2: 1.0, ..Default::default() }, ..same.clone() },
    ] {
        assert!(found(&memory, &other).await.is_none());
        assert_eq!(memory.neighborhood(&other).await.len(), 40);
    }
}

#[tokio::test]
async fn a_chunk_that_was_evicted_ends_the_neighbors_until_somebody_keeps_them_again() {
    let bench = filled(1_400).await;
    let keys = SharedKeys::neighborhood(&question(1_400));
    bench.remove(&keys.part(Kind::Chunk, 1));
    let memory = Memory::over(bench.clone());
    assert!(found(&memory, &question(1_400)).await.is_none());
    assert_eq!(content(&memory.neighborhood(&question(1_400)).await), content(&neighbors(655)));
    memory.share(&question(1_400), &answer(1_400), true, None).await;
    assert!(found(&Memory::over(bench), &question(1_400)).await.is_some());
}

#[tokio::test]
async fn a_process_that_is_alone_encodes_nothing() {
    let store = MemoryStore::default();
    let memory = Memory::over(Arc::new(store.clone()));
    let question = question(40);
    memory.instance((&question).into(), async { Ok(instance()) }).await.unwrap();
    memory.share(&question, &answer(40), true, None).await;
    let keys = [SharedKeys::instance((&question).into()).value(Kind::Instance)];
    assert_eq!(store.get(&keys).await, [None]);
}

#[test]
fn keys_of_one_instance_have_one_hash_tag() {
    let question = question(40);
    let keys = SharedKeys::neighborhood(&question);
    let all = [keys.value(Kind::Manifest), keys.part(Kind::Chunk, 3), SharedKeys::answer(&question).lease()];
    let tag = |key: &String| key[key.find('{').unwrap()..=key.find('}').unwrap()].to_owned();
    assert!(all.iter().all(|key| tag(key) == tag(&all[0]) && key.starts_with("deeper:1:")), "{all:?}");
    assert_eq!(tag(&all[0]).len(), 64 + 2);
}
