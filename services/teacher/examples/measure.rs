//! Speed and exactness of the libtorch adapters on this machine.
//!
//! `cargo run --release -p teacher --features torch --example measure -- <threads> <what> [<arguments>]`:
//! - `shapes`: images a second of ResNet-50 by batch size, against the plain f32 network
//! - `bits`: whether an image's logits depend on the batch size or on its batch mates
//! - `train [<folder of MNIST>]`: one epoch of ResNet-50's 100 steps, or seven steps on random images
//! - `learn <folder of MNIST>`: the small network, trained and evaluated through the whole service
//! - `deletion <artifact folder> teachers/<id>`: how often the gold class comes back when a fifth of the
//!   ink goes, in the order of each attribution, over 100 misclassified images
//! - `flips <artifact folder> teachers/<id>`: classes that the served copy changes
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement speaks on the terminal")]

use std::{sync::Arc, time::Instant};

use artifacts::{Artifacts, LabeledImages, Slot};
use domain::{Architecture, Image, ImageBatch, ImageShape, Label, ResourceName, TeacherRecipe, TeacherSource};
use futures::StreamExt;
use runtime::{gate::Gate, long::TrainingQueue};
use tch::{Device, Tensor};
use teacher::{
    ComputeConfig,
    attribution::{gradient::gradient_times_input, occlusion::Occlusion},
    networks::{Network, convolution::Mode},
    served::{Precision, ServedTeacher},
    teacher::{Classifier, Contrast},
    torch_models,
    training::session::{Examples, Session},
};
use tokio_util::sync::CancellationToken;
use torch::{Checkpoint, Optimizer, Randomness, SgdNesterov};

const SHAPE: ImageShape = ImageShape::gray(28, 28);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let threads: u16 = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(1);
    torch::device::set_thread_count(usize::from(threads));
    println!("{threads} threads, {}", torch::device::cpu_class());
    match arguments[1..] {
        ["shapes"] => shapes(),
        ["bits"] => bits(),
        ["train"] => train(images(700), (0..700).map(|i| Label(i % 10)).collect()),
        ["train", folder] => {
            let (images, labels) = mnist(folder);
            train(images, labels);
        }
        ["learn", folder] => learn(folder, threads),
        ["deletion", folder, teacher] => deletion(folder, teacher),
        ["flips", folder, teacher] => flips(folder, teacher),
        _ => println!("what is one of shapes, bits, train, learn <folder>, deletion or flips <folder> <teacher>"),
    }
}

/// The 10,000 images that teachers learn from.
fn mnist(folder: &str) -> (ImageBatch, Vec<Label>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let artifacts = Artifacts::in_memory();
    let dataset = runtime.block_on(artifacts.import_mnist(std::path::Path::new(folder))).unwrap();
    let split = runtime.block_on(artifacts.split(&dataset.name, "t10k")).unwrap();
    (split.images.clone(), split.labels.iter().map(|&label| Label(u32::from(label))).collect())
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
            let task = models.train(name.clone(), recipe, CancellationToken::new()).expect("any number of trainings is taken");
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

/// The oracle of speed: the network as it is trained, in f32, one call after the other.
fn eager(network: &Network, all: &ImageBatch, size: usize) -> Tensor {
    let _guard = tch::no_grad_guard();
    let starts = (0..all.len()).step_by(size);
    let forward = |images: ImageBatch| network.layers.forward(&network.read(&images).unwrap(), Mode::Evaluate);
    Tensor::cat(&starts.map(|start| forward(all.slice(start, start + size))).collect::<Vec<_>>(), 0)
}

/// A trained ResNet-50 of an artifact folder, as often as it is asked for, and MNIST's 60,000 images.
fn trained(folder: &str, teacher: &str) -> (impl Fn() -> Network, Arc<LabeledImages>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let artifacts = Artifacts::open_folder(std::path::Path::new(folder)).unwrap();
    let teacher = ResourceName::parse(teacher, ResourceName::TEACHER).unwrap();
    let dataset = ResourceName::parse("datasets/mnist", ResourceName::DATASET).unwrap();
    let stored = runtime.block_on(artifacts.checkpoint(&teacher, Slot::Final)).unwrap().unwrap();
    let load = move || {
        let checkpoint = Checkpoint::from_bytes(&stored.bytes).unwrap();
        Network::stored(Architecture::Resnet50, SHAPE, 10, &checkpoint, Device::Cpu).unwrap()
    };
    (load, runtime.block_on(artifacts.split(&dataset, "train")).unwrap())
}

/// Images to which the served copy gives another class than f32.
fn flips(folder: &str, teacher: &str) {
    let (load, split) = trained(folder, teacher);
    let images = split.images.slice(0, 10_000);
    let expected = torch::tensors::to_logits(&eager(&load(), &images, 125)).unwrap();
    let served = ServedTeacher::new(load(), String::new(), Precision::quickest(), 125).unwrap();
    let answers = served.logits(&images).unwrap();
    let differ = answers.iter().zip(&expected).filter(|(a, b)| a.predicted_label() != b.predicted_label()).count();
    println!("{differ} of {} classes differ between the served copy and f32", answers.len());
}

/// Removes a fifth of the ink in the order of a map, most blamed first, and asks again.
fn deletion(folder: &str, teacher: &str) {
    let (load, split) = trained(folder, teacher);
    let served = ServedTeacher::new(load(), String::new(), Precision::quickest(), 125).unwrap();
    let images = split.images.slice(0, 10_000);
    let answers = served.logits(&images).unwrap();
    let is_wrong = |index: &usize| answers[*index].predicted_label().0 != u32::from(split.labels[*index]);
    let errors: Vec<usize> = (0..images.len()).filter(is_wrong).take(100).collect();
    let mut flipped = [0; 4];
    for &index in &errors {
        let image = images.image(index).unwrap();
        let gold = Label(u32::from(split.labels[index]));
        let contrast = Contrast { target: answers[index].predicted_label(), baseline: Some(gold) };
        let occlusion = Occlusion::plan(&image, 3, 1).unwrap();
        let parts = occlusion.batches(125).map(|part| served.logits(&part).unwrap());
        let occluded = occlusion.heatmap(contrast, &parts.flatten().collect::<Vec<_>>()).unwrap().values().to_vec();
        let gradient = served.input_gradient(&image, contrast).unwrap().slopes.values().to_vec();
        let product = gradient_times_input(&served, &image, contrast).unwrap().0.values().to_vec();
        let mut random = Randomness::new(index as u64, 0);
        let chance = (0..SHAPE.pixel_count()).map(|_| random.uniform() as f32).collect();
        for (count, map) in flipped.iter_mut().zip([occluded, gradient, product, chance]) {
            let left = without_a_fifth(&image, &map);
            let answer = &served.logits(&ImageBatch::new(SHAPE, left).unwrap()).unwrap()[0];
            *count += u32::from(answer.predicted_label() == gold);
        }
    }
    println!("of {} errors, the gold class comes back:", errors.len());
    for (name, count) in
        ["occlusion 3x3 per ink", "gradient (per ink)", "gradient x input", "random ink"].iter().zip(flipped)
    {
        println!("{name:24} {count}");
    }
}

fn without_a_fifth(image: &Image, map: &[f32]) -> Vec<u8> {
    let mut pixels = image.pixels().to_vec();
    let mut order: Vec<usize> = (0..pixels.len()).filter(|&index| pixels[index] > 0).collect();
    order.sort_by(|a, b| map[*b].total_cmp(&map[*a]));
    let mut left = pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>() / 5;
    for index in order {
        let ink = u64::from(pixels[index]);
        pixels[index] = 0;
        left = left.saturating_sub(ink);
        if left == 0 {
            break;
        }
    }
    pixels
}

fn shapes() {
    let all = images(1_000);
    let plain = network();
    for _ in 0..3 {
        let started_at = Instant::now();
        let _ = eager(&plain, &all, 100);
        println!("eager f32, batch 100: {:7.0} img/s wall", 1_000.0 / started_at.elapsed().as_secs_f64());
    }
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

fn train(images: ImageBatch, labels: Vec<Label>) {
    let network = Network::random(Architecture::Resnet50, 10, 1, &images, Device::Cpu).unwrap();
    let mut session = Session::new(network, Examples { images, labels }, &recipe(), Precision::quickest()).unwrap();
    while !session.is_done() {
        let (started_at, cpu) = (Instant::now(), cpu_seconds());
        session.step().unwrap();
        let (wall, cpu) = (started_at.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let progress = session.progress();
        let loss = progress.loss_curve.last().map_or(0.0, |point| point.loss);
        println!("step {}: {wall:.3} s wall, {cpu:.3} cpu-s, loss {loss:.3}", progress.step);
    }
    println!("accuracy over the epoch, while learning: {:.3}", session.progress().accuracy);
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
