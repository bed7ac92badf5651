//! Students against numpy and scipy: every number of one small neighborhood, for each solver. The expected
//! values come from `fixtures/expected.py`, which refits everything from its definition.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use domain::{Image, ImageBatch, ImageShape, InstanceFit, Label, Logits, Solver, Student, StudentSpec};
use student::Distiller;

/// One student and its fidelity.
struct Expected {
    weights: &'static [&'static [f64]],
    biases: &'static [f64],
    contrast_labels: (u32, u32),
    student_probabilities: &'static [f64],
    held_out_neighbor_count: usize,
    top1_agreement: f64,
    majority_baseline: f64,
    mean_kl: f64,
    constant_kl: f64,
    r_squared: f64,
    instance_fitted: (bool, f64),
    instance_held_out: (bool, f64),
    split_half_cosine: f64,
    label_counts: &'static [u64],
}

mod numpy {
    use super::Expected;

    include!("fixtures/expected.rs");
}

const SHAPE: ImageShape = ImageShape::gray(6, 6);
const LABEL_COUNT: usize = 4;

/// The script's generator: the high byte of Knuth's 64-bit linear congruence.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }

    /// The last six pixels never vary.
    fn image(&mut self) -> Vec<u8> {
        let drawn: Vec<u8> = (0..36).map(|_| self.next()).collect();
        drawn.iter().enumerate().map(|(i, &byte)| if i >= 30 { 17 } else { byte }).collect()
    }
}

fn student(solver: Solver) -> Student {
    let mut bytes = Bytes(7);
    let instance = bytes.image();
    let neighbors: Vec<Vec<u8>> = (0..60).map(|_| bytes.image()).collect();
    assert_eq!(neighbors[59][27..30], numpy::LAST_NEIGHBOR_BYTES);
    let mixing: Vec<Vec<i64>> =
        (0..LABEL_COUNT).map(|_| (0..36).map(|_| i64::from(bytes.next()) - 128).collect()).collect();
    // Integers below 2²⁴ over a power of two: exact in `f32`.
    let teacher = |x: &[u8]| {
        let centered = |pixel: u8| i64::from(pixel) - 128;
        let curve = centered(x[0]) * centered(x[7]);
        let logits = mixing.iter().enumerate().map(|(label, row)| {
            let linear: i64 = row.iter().zip(x).map(|(a, &p)| a * centered(p)).sum();
            (linear + curve * (label as i64 + 1)) as f32 / 32_768.0
        });
        logits.collect::<Vec<f32>>()
    };
    let instance_logits = Logits::new(teacher(&instance)).unwrap();
    let instance = Image::new(SHAPE, instance).unwrap();
    // As in `fixtures/expected.py`, whatever a solver's defaults are.
    let spec = StudentSpec { l2: 3e-3, instance_weight: 0.1, ..StudentSpec::of(solver) };
    let mut distiller = Distiller::new(spec, instance, instance_logits, None, 60).unwrap();
    for chunk in neighbors.chunks(17) {
        let logits: Vec<f32> = chunk.iter().flat_map(|x| teacher(x)).collect();
        distiller.push(&ImageBatch::new(SHAPE, chunk.concat()).unwrap(), &logits).unwrap();
    }
    distiller.fit(true, &mut |_| Ok(())).unwrap()
}

fn check(solver: Solver, expected: &Expected, tolerance: f64) {
    let student = student(solver);
    let near = |what: &str, got: f64, want: f64| {
        assert!((got - want).abs() <= tolerance, "{what}: {got} instead of {want}");
    };
    let all_near = |what: &str, got: &[f64], want: &[f64]| {
        assert_eq!(got.len(), want.len(), "{what}");
        got.iter().zip(want).for_each(|(got, want)| near(what, *got, *want));
    };
    for (got, want) in student.classifier.weights().iter().zip(expected.weights) {
        all_near("weights", got, want);
        assert_eq!(got[30..], [0.0; 6], "pixels that never vary have no weight");
    }
    all_near("biases", student.classifier.biases(), expected.biases);
    let (predicted, contrast) = expected.contrast_labels;
    assert_eq!((student.predicted_label, student.contrast_label), (Label(predicted), Label(contrast)));
    all_near("student_labels", &student.student_labels.probabilities, expected.student_probabilities);
    let fidelity = &student.fidelity;
    assert_eq!(fidelity.held_out_neighbor_count, expected.held_out_neighbor_count);
    assert_eq!(fidelity.cross_fitted, expected.held_out_neighbor_count == 60);
    near("top1_agreement", fidelity.top1_agreement, expected.top1_agreement);
    near("majority_baseline", fidelity.majority_baseline, expected.majority_baseline);
    near("mean_kl", fidelity.mean_kl, expected.mean_kl);
    near("constant_kl", fidelity.constant_kl, expected.constant_kl);
    near("r_squared", fidelity.r_squared, expected.r_squared);
    near("split_half_cosine", fidelity.stability.split_half_cosine, expected.split_half_cosine);
    assert_eq!(fidelity.label_counts, expected.label_counts);
    let fits = [
        (fidelity.instance_fitted, expected.instance_fitted),
        (fidelity.instance_held_out, expected.instance_held_out),
    ];
    for (InstanceFit { agrees, probability_gap }, (want_agrees, want_gap)) in fits {
        assert_eq!(agrees, want_agrees);
        near("probability_gap", probability_gap, want_gap);
    }
}

/// Contrast maps are `f32`, so that the cosine of two of them is good to about 1e-7.
const F32: f64 = 2e-7;

#[test]
fn ridge_equals_numpy() {
    check(Solver::Ridge, &numpy::RIDGE, F32);
}

#[test]
fn lbfgs_ends_where_scipy_ends() {
    // Near the minimum the loss is flat: differences of 1e-16 in it are 1e-6 in the parameters.
    check(Solver::Lbfgs { iteration_count: 500, tolerance: 0.0 }, &numpy::LBFGS, 1e-5);
}

#[test]
fn adam_with_one_batch_an_epoch_equals_numpy() {
    let solver = Solver::Adam { epoch_count: 30, batch_size: 4_096, learning_rate: 0.05, seed: 1 };
    check(solver, &numpy::ADAM, F32);
}
