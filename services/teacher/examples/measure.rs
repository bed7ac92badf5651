//! Speed and exactness of the ResNet-50 adapters on this machine, with random weights: steps of training,
//! images a second by batch shape, and whether an image's logits depend on shape or batch mates. Beside
//! it, the small network on MNIST, whose folder is the last argument.
//!
//! `cargo run --release -p teacher --features torch --example measure -- <threads> [train|shapes|bits|learn <folder>]`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement speaks on the terminal")]

use std::time::Instant;

use artifacts::Artifacts;
use domain::{Architecture, ImageBatch, ImageShape, Label, ResourceName, TeacherRecipe, TeacherSource};
use futures::StreamExt;
use runtime::{gate::Gate, long::TrainingQueue};
use tch::Device;
use teacher::{
    ComputeConfig,
    networks::Network,
    served::{Precision, ServedTeacher},
    teacher::Classifier,
    torch_models,
    training::session::{Examples, Session},
};
use tokio_util::sync::CancellationToken;
use torch::{Optimizer, Randomness, SgdNesterov};

const SHAPE: ImageShape = ImageShape::gray(28, 28);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(1);
    torch::device::set_thread_count(threads);
    println!("{threads} threads, {}", torch::device::cpu_class());
    let asked = |what: &str| arguments.len() < 2 || arguments[1..].iter().any(|argument| argument == what);
    if asked("shapes") {
        shapes();
    }
    if asked("bits") {
        bits();
    }
    if let Some(position) = arguments.iter().position(|argument| argument == "learn") {
        learn(&arguments[position + 1], threads as u16);
    }
    if asked("train") {
        train();
    }
}

/// The small network on MNIST through the whole service: seconds, accuracy, flips between f32 and bf16.
fn learn(folder: &str, threads: u16) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let artifacts = Artifacts::in_memory();
        let dataset = artifacts.import_mnist(std::path::Path::new(folder)).await.unwrap().name;
        let recipe = TeacherRecipe {
            source: TeacherSource::Train(Architecture::SmallCnn),
            dataset: dataset.clone(),
            training_split: "t10k".into(),
            evaluation_split: "train".into(),
            ..recipe()
        };
        let name = ResourceName::parse("teachers/small", ResourceName::TEACHER).unwrap();
        for (teacher_precision, epoch_count) in
            [(teacher::config::Precision::F32, 3), (teacher::config::Precision::Quickest, 2), (teacher::config::Precision::Quickest, 3)]
        {
            let config = ComputeConfig { threads, teacher_precision, ..ComputeConfig::default() };
            let gate = Gate::new();
            let models = torch_models(&config, artifacts.clone(), gate.clone(), TrainingQueue::new(gate)).unwrap();
            let recipe = TeacherRecipe { epoch_count, ..recipe.clone() };
            let started_at = Instant::now();
            let task = models.train(name.clone(), recipe, CancellationToken::new());
            task.finished().await.unwrap();
            let trained_at = Instant::now();
            let snapshots = models.evaluate(name.clone(), dataset.clone(), "train".into()).await.unwrap();
            let snapshots: Vec<_> = snapshots.collect().await;
            let accuracy = snapshots.last().unwrap().as_ref().unwrap().accuracy;
            let (training, evaluation) = (trained_at - started_at, trained_at.elapsed());
            println!(
                "small network, {teacher_precision:?}, {epoch_count} epochs: {:.1} s, accuracy on the 60,000 {accuracy:.4}, evaluated in {:.1} s",
                training.as_secs_f64(),
                evaluation.as_secs_f64()
            );
        }
    });
}

fn recipe() -> TeacherRecipe {
    TeacherRecipe {
        source: TeacherSource::Train(Architecture::Resnet50),
        dataset: ResourceName::parse("datasets/none", ResourceName::DATASET).unwrap(),
        training_split: String::new(),
        evaluation_split: String::new(),
        epoch_count: 1,
        batch_size: 100,
        learning_rate: 0.08,
        weight_decay: 5e-4,
        seed: 1,
    }
}

/// Strokes of random ink on paper: as sparse as digits.
fn images(count: usize) -> ImageBatch {
    let mut random = Randomness::new(7, 0);
    let mut pixels = vec![0u8; count * SHAPE.pixel_count()];
    for image in pixels.chunks_exact_mut(SHAPE.pixel_count()) {
        let (mut y, mut x) = (14.0, 14.0);
        for _ in 0..150 {
            (y, x) = (f64::clamp(y + random.normal(), 4.0, 23.0), f64::clamp(x + random.normal(), 4.0, 23.0));
            image[y as usize * 28 + x as usize] = 255;
        }
    }
    ImageBatch::new(SHAPE, pixels).unwrap()
}

fn network() -> Network {
    let network = Network::random(Architecture::Resnet50, 10, 1, &images(100), Device::Cpu).unwrap();
    // As after training: no block is the identity.
    for (_, tensor) in network.parameters.trainables().filter(|(name, _)| name.ends_with("bn3.weight")) {
        let _ = tensor.detach().fill_(0.3);
    }
    network
}

fn serve(precision: Precision, batch_size: usize) -> ServedTeacher {
    ServedTeacher::new(network(), String::new(), precision, batch_size).unwrap()
}

fn shapes() {
    let all = images(1_000);
    let sizes = [1, 8, 64, 100, 125, 128, 250];
    let teachers: Vec<ServedTeacher> = sizes.iter().map(|&size| serve(Precision::quickest(), size)).collect();
    let mut best = vec![f64::INFINITY; sizes.len()];
    for round in 0..4 {
        for (index, teacher) in teachers.iter().enumerate() {
            let images = if sizes[index] < 64 { all.slice(0, 25 * sizes[index]) } else { all.clone() };
            let (started_at, cpu) = (Instant::now(), cpu_seconds());
            teacher.logits(&images).unwrap();
            let seconds = started_at.elapsed().as_secs_f64();
            if round > 0 {
                best[index] = best[index].min(seconds / images.len() as f64);
                let (rate, cpu_rate) = (images.len() as f64 / seconds, images.len() as f64 / (cpu_seconds() - cpu));
                println!("batch {:4}: {rate:7.0} img/s wall, {cpu_rate:7.0} img/cpu-s", sizes[index]);
            }
        }
    }
    for (size, seconds) in sizes.iter().zip(best) {
        let batch_ms = seconds * *size as f64 * 1e3;
        println!(
            "best of batch {size:4}: {:7.0} img/s, {batch_ms:6.1} ms a batch, 1,000 neighbors {:.3} s",
            1.0 / seconds,
            (1_000f64 / *size as f64).ceil() * batch_ms / 1e3
        );
    }
}

fn bits() {
    let all = images(256);
    for precision in [Precision::quickest(), Precision::Full] {
        let reference = serve(precision, 125).logits(&all).unwrap();
        for size in [1, 2, 4, 8, 16, 64, 128, 250] {
            // Asked for in parts of full size: no smaller shape is used.
            let teacher = serve(precision, size);
            let parts = (0..256 / size).map(|part| all.slice(part * size, (part + 1) * size));
            let answers: Vec<_> = parts.flat_map(|part| teacher.logits(&part).unwrap()).collect();
            let same = answers.iter().zip(&reference).filter(|(a, b)| a == b).count();
            println!("{precision:?}: {same} of {} images have the same bits by {size} as by 125", answers.len());
        }
        let teacher = serve(precision, 125);
        let alone = (0..256).filter(|&i| teacher.logits(&all.slice(i, i + 1)).unwrap()[0] == reference[i]).count();
        println!("{precision:?}: {alone} of 256 images have the same bits alone and together");
    }
}

fn train() {
    let images = images(1_000);
    let labels = (0..1_000).map(|i| Label(i % 10)).collect();
    let recipe = recipe();
    let network = Network::random(Architecture::Resnet50, 10, 1, &images, Device::Cpu).unwrap();
    let mut session = Session::new(network, Examples { images, labels }, &recipe, Precision::quickest()).unwrap();
    for step in 0..7 {
        let (started_at, cpu) = (Instant::now(), cpu_seconds());
        session.step().unwrap();
        let (wall, cpu) = (started_at.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!("step {step}: {wall:.3} s wall, {cpu:.3} cpu-s");
    }
    let mut optimizer = SgdNesterov::new(&session.network.parameters, 0.9, 5e-4).unwrap();
    for _ in 0..3 {
        let trainables = session.network.parameters.trainables();
        let gradients = trainables.map(|(_, tensor)| tensor.detach().ones_like()).collect();
        let (started_at, cpu) = (Instant::now(), cpu_seconds());
        optimizer.step(&session.network.parameters, gradients, 0.0).unwrap();
        let (wall, cpu) = (started_at.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!("of it, the optimizer: {wall:.3} s wall, {cpu:.3} cpu-s");
    }
    let started_at = Instant::now();
    let bytes = session.checkpoint().unwrap().to_bytes().unwrap();
    println!("checkpoint of {} MB: {:.3} s", bytes.len() / 1_000_000, started_at.elapsed().as_secs_f64());
}

/// User and system seconds of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
