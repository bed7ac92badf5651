//! Times fits on neighborhoods of real digits: `cargo run --release -p student --example fit_times -- DIR`,
//! where DIR holds the unpacked MNIST files. Prints milliseconds, the best of five, on one thread. A solver's
//! name after DIR measures that one only.
#![expect(clippy::print_stdout, reason = "a measuring program reports on its standard output")]
#![allow(clippy::unwrap_used, reason = "a measuring program may stop at a missing file")]

use std::{path::Path, time::Instant};

use domain::{Image, ImageBatch, ImageShape, Logits, Solver, StudentSpec};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use student::Distiller;

const SHAPE: ImageShape = ImageShape::gray(28, 28);
const PROTOTYPES_PER_LABEL: usize = 30;

fn main() {
    let folder = std::env::args().nth(1).expect("the folder with the MNIST files");
    let only = std::env::args().nth(2);
    let read = |file: &str, header: usize| std::fs::read(Path::new(&folder).join(file)).unwrap().split_off(header);
    let images = read("train-images-idx3-ubyte", 16);
    let labels = read("train-labels-idx1-ubyte", 8);
    let image = |index: usize| &images[index * 784..(index + 1) * 784];
    let prototypes: Vec<(usize, usize)> = (0..10)
        .flat_map(|label| {
            let of_label = (1_000..).filter(|&i| usize::from(labels[i]) == label).take(PROTOTYPES_PER_LABEL);
            of_label.map(|index| (label, index)).collect::<Vec<_>>()
        })
        .collect();
    // A kernel classifier: smooth, not linear, and quick to ask.
    let teacher = |pixels: &[u8]| {
        let mut sums = [1e-6f64; 10];
        for &(label, index) in &prototypes {
            let squares = pixels.iter().zip(image(index)).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
            sums[label] += (-squares.sum::<f64>() / (255.0 * 255.0) / 6.0).exp();
        }
        sums.map(|sum| 1.5 * sum.ln() as f32)
    };
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut uniform = || f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
    let instance = image(8).to_vec();
    let (mut pixels, mut logits) = (Vec::new(), Vec::new());
    for _ in 0..1_000 {
        let steps: Vec<f64> = (0..10).map(|_| uniform()).collect();
        let moved = (0..784).map(|pixel| {
            let step: f64 = steps.iter().enumerate().map(|(k, step)| step * f64::from(image(100 + k)[pixel])).sum();
            (f64::from(instance[pixel]) + 0.7 * step).round().clamp(0.0, 255.0) as u8
        });
        let neighbor: Vec<u8> = moved.collect();
        logits.extend(teacher(&neighbor));
        pixels.extend(neighbor);
    }

    let instance_logits = Logits::new(teacher(&instance).to_vec()).unwrap();
    let instance = Image::new(SHAPE, instance).unwrap();
    for (name, solver) in [("ridge", Solver::Ridge), ("l-bfgs", Solver::LBFGS), ("adam", Solver::ADAM)] {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        for count in [64, 128, 256, 512, 1_000] {
            let spec = StudentSpec::of(solver);
            let mut distiller = Distiller::new(spec, instance.clone(), instance_logits.clone(), None, count).unwrap();
            let batch = ImageBatch::new(SHAPE, pixels[..count * 784].to_vec()).unwrap();
            distiller.push(&batch, &logits[..count * 10]).unwrap();
            let (mut best, mut result) = (f64::INFINITY, None);
            for _ in 0..5 {
                let start = Instant::now();
                result = Some(distiller.fit(count == 1_000, &mut |_| Ok(())).unwrap());
                best = best.min(start.elapsed().as_secs_f64() * 1e3);
            }
            let student = result.unwrap();
            let varying = (0..784).filter(|&p| (1..count).any(|i| pixels[i * 784 + p] != pixels[p])).count();
            let fidelity = student.fidelity;
            println!(
                "{name:7} N {count:4}, {varying} varying pixels: {best:7.2} ms; agreement {:.3} (majority {:.3}), KL {:.4} \
                 ({:.3}), R² {:.3}, at the image {:?}, stability {:.3}",
                fidelity.top1_agreement,
                fidelity.majority_baseline,
                fidelity.mean_kl,
                fidelity.constant_kl,
                fidelity.r_squared,
                fidelity.instance_held_out,
                fidelity.stability.predicted_cosine()
            );
        }
    }
}
