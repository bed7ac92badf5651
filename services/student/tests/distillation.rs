//! What a student promises whatever the solver: known worlds come back, the same neighbors give the same
//! bytes, and what cannot be fitted is refused with its own error.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use domain::{
    Error, Image, ImageBatch, ImageShape, Label, Logits, Result, Solver, Student, StudentSpec, Temperature,
    fidelity::Verdict,
};
use proptest::prelude::*;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use student::{
    Distiller,
    control::{HardLabelSgd, distill_hard_labels},
};

const SHAPE: ImageShape = ImageShape::gray(4, 5);
const PIXELS: usize = 20;
const SOLVERS: [Solver; 3] =
    [Solver::Ridge, Solver::LBFGS, Solver::Adam { epoch_count: 20, batch_size: 32, learning_rate: 0.05, seed: 3 }];

/// Random images and a teacher that is linear in them: logits = W x + b with these weights per unit of ink.
struct LinearWorld {
    images: Vec<Vec<u8>>,
    weights: [[f32; PIXELS]; 3],
}

impl LinearWorld {
    fn new(image_count: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let mut byte = || random.next_u32() as u8;
        let weights = std::array::from_fn(|_| std::array::from_fn(|_| f32::from(byte()) / 16.0 - 8.0));
        let images = (0..image_count).map(|_| (0..PIXELS).map(|_| byte()).collect()).collect();
        Self { images, weights }
    }

    fn logits(&self, image: &[u8]) -> Vec<f32> {
        let dot = |weights: &[f32; PIXELS]| -> f32 {
            weights.iter().zip(image).map(|(w, &pixel)| w * (f32::from(pixel) / 255.0 - 0.5)).sum()
        };
        self.weights.iter().map(dot).collect()
    }

    fn distiller(&self, spec: StudentSpec, chunks: impl IntoIterator<Item = usize>) -> Distiller {
        let (instance, neighbors) = self.images.split_first().unwrap();
        let logits = Logits::new(self.logits(instance)).unwrap();
        let image = Image::new(SHAPE, instance.clone()).unwrap();
        let mut distiller = Distiller::new(spec, image, logits, Some(Label(0)), neighbors.len()).unwrap();
        let mut rest = neighbors;
        for size in chunks.into_iter().chain([usize::MAX]) {
            let (chunk, later) = rest.split_at(size.min(rest.len()));
            let logits: Vec<f32> = chunk.iter().flat_map(|image| self.logits(image)).collect();
            distiller.push(&ImageBatch::new(SHAPE, chunk.concat()).unwrap(), &logits).unwrap();
            rest = later;
        }
        distiller
    }
}

fn fit(distiller: &Distiller) -> Result<Student> {
    distiller.fit(true, &mut |_| Ok(()))
}

#[test]
fn a_linear_teacher_comes_back_up_to_a_constant_over_classes() {
    let world = LinearWorld::new(401);
    let spec = StudentSpec { l2: 1e-6, ..Default::default() };
    let student = fit(&world.distiller(spec, [])).unwrap();
    for pixel in 0..PIXELS {
        let mean = world.weights.iter().map(|map| map[pixel]).sum::<f32>() / 3.0;
        for (label, map) in student.classifier.weights().iter().enumerate() {
            let expected = f64::from(world.weights[label][pixel] - mean);
            assert!((map[pixel] - expected).abs() < 1e-3, "{} instead of {expected}", map[pixel]);
        }
    }
    let fidelity = &student.fidelity;
    assert!(fidelity.top1_agreement > 0.99 && fidelity.mean_kl < 1e-6 && fidelity.r_squared > 0.9999, "{fidelity:?}");
    assert!(fidelity.stability.predicted_cosine() > 0.9999);
    assert!(fidelity.instance_held_out.agrees && fidelity.instance_held_out.probability_gap < 1e-3);
    assert_eq!(fidelity.verdict(), Verdict::Trust);
}

#[test]
fn every_solver_imitates_a_linear_teacher() {
    let world = LinearWorld::new(401);
    for solver in SOLVERS {
        let student = fit(&world.distiller(StudentSpec { l2: 1e-4, ..StudentSpec::of(solver) }, [])).unwrap();
        let fidelity = &student.fidelity;
        assert!(fidelity.top1_agreement > 0.9, "{solver:?}: {fidelity:?}");
        assert!(fidelity.top1_agreement > fidelity.majority_baseline + 0.2, "{solver:?}: {fidelity:?}");
        assert!(fidelity.kl_share() < 0.1, "{solver:?}: {fidelity:?}");
        let sum: f64 = student.contribution_maps[1].values().iter().map(|&value| f64::from(value)).sum();
        assert!(sum.is_finite());
        assert_eq!(student.contribution_maps.len(), 3);
    }
}

#[test]
fn under_ridge_the_temperature_changes_no_map() {
    let world = LinearWorld::new(101);
    let at = |temperature| {
        let spec = StudentSpec { temperature: Temperature::new(temperature).unwrap(), ..Default::default() };
        fit(&world.distiller(spec, [])).unwrap()
    };
    let (sharp, soft) = (at(1.0), at(10.0));
    assert_eq!(sharp.classifier, soft.classifier);
    assert_eq!(sharp.fidelity.top1_agreement, soft.fidelity.top1_agreement);
    assert!(sharp.teacher_labels.confidence() > soft.teacher_labels.confidence());
}

#[test]
fn the_instance_pulls_as_hard_as_it_weighs() {
    let world = LinearWorld::new(61);
    let gap = |instance_weight| {
        let spec = StudentSpec { instance_weight, l2: 1.0, ..Default::default() };
        fit(&world.distiller(spec, [])).unwrap().fidelity
    };
    let (none, light, heavy) = (gap(0.0), gap(0.1), gap(10.0));
    assert_eq!(none.instance_fitted, none.instance_held_out);
    assert_eq!(light.instance_held_out, heavy.instance_held_out);
    assert!(light.instance_fitted.probability_gap < none.instance_fitted.probability_gap);
    assert!(heavy.instance_fitted.probability_gap < light.instance_fitted.probability_gap);
}

#[test]
fn early_students_are_penalized_more_unless_they_are_the_last() {
    let world = LinearWorld::new(65);
    let distiller = world.distiller(StudentSpec::default(), []);
    let size = |last| distiller.fit(last, &mut |_| Ok(())).unwrap().weight_limit();
    assert!(size(false) < size(true));
    let larger = LinearWorld::new(201);
    let distiller = larger.distiller(StudentSpec::default(), []);
    let fit = |last| distiller.fit(last, &mut |_| Ok(())).unwrap();
    assert_eq!(fit(false), fit(true));
}

#[test]
fn a_neighbor_limit_leaves_the_later_ones_out() {
    let world = LinearWorld::new(201);
    let limited = StudentSpec { neighbor_limit: Some(64), ..Default::default() };
    let student = fit(&world.distiller(limited, [])).unwrap();
    assert_eq!((student.neighbor_count, student.fidelity.held_out_neighbor_count), (64, 64));
    let fewer = LinearWorld { images: world.images[..65].to_vec(), ..world };
    let same = fit(&fewer.distiller(StudentSpec::default(), [])).unwrap();
    assert_eq!(student.classifier, same.classifier);
}

#[test]
fn progress_reaches_its_end_and_its_reader_can_stop_the_work() {
    let world = LinearWorld::new(101);
    for solver in SOLVERS {
        let distiller = world.distiller(StudentSpec { solver, ..Default::default() }, []);
        let mut seen = Vec::new();
        distiller
            .fit(true, &mut |progress| {
                seen.push((progress.iteration, progress.iteration_count));
                Ok(())
            })
            .unwrap();
        assert!(seen.is_sorted() && seen.len() > 3, "{solver:?}");
        assert!(seen.iter().all(|(iteration, count)| iteration <= count && count == &seen[0].1));
        let mut calls = 0;
        let stopped = distiller.fit(true, &mut |_| {
            calls += 1;
            if calls == 3 { Err(Error::Cancelled) } else { Ok(()) }
        });
        assert_eq!((stopped, calls), (Err(Error::Cancelled), 3), "{solver:?}");
    }
}

#[test]
fn a_rate_that_is_too_high_is_a_divergence() {
    let world = LinearWorld::new(101);
    let solver = Solver::Adam { epoch_count: 2, batch_size: 8, learning_rate: 1.0, seed: 1 };
    let temperature = Temperature::new(0.05).unwrap();
    let error = fit(&world.distiller(StudentSpec { solver, temperature, ..Default::default() }, [])).unwrap_err();
    assert!(matches!(error, Error::DistillationDiverged { .. }), "{error}");
}

#[test]
fn identical_neighbors_are_a_degenerate_neighborhood() {
    let world = LinearWorld::new(2);
    let images = vec![world.images[1].clone(); 40];
    let error = fit(&LinearWorld { images, ..world }.distiller(StudentSpec::default(), [])).unwrap_err();
    assert_eq!(error, Error::neighborhood_degenerate());
}

#[test]
fn one_class_everywhere_is_said() {
    let mut world = LinearWorld::new(101);
    world.weights = [[0.0; PIXELS]; 3];
    let student = fit(&world.distiller(StudentSpec::default(), [])).unwrap();
    assert_eq!(student.fidelity.verdict(), Verdict::OneClass);
    assert_eq!((student.fidelity.constant_kl, student.fidelity.r_squared), (0.0, 0.0));
}

#[test]
fn hard_labels_with_plain_sgd_are_worse() {
    let world = LinearWorld::new(401);
    let distiller = world.distiller(StudentSpec::default(), []);
    let (student, control) =
        (fit(&distiller).unwrap(), distill_hard_labels(&distiller, HardLabelSgd::default()).unwrap());
    assert!(control.fidelity.top1_agreement < student.fidelity.top1_agreement - 0.05, "{:?}", control.fidelity);
    assert!(control.fidelity.mean_kl > 10.0 * student.fidelity.mean_kl);
}

#[test]
fn what_cannot_be_a_distillation_is_refused_field_by_field() {
    let image = Image::new(SHAPE, vec![0; PIXELS]).unwrap();
    let new = |logits: Vec<f32>, contrast, count| {
        Distiller::new(StudentSpec::default(), image.clone(), Logits::new(logits).unwrap(), contrast, count)
    };
    let fields = |result: Result<Distiller>| match result {
        Err(Error::InvalidFields(violations)) => violations.iter().map(|v| v.field.clone()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(fields(new(vec![1.0], Some(Label(1)), 31)), ["instance_logits", "contrast_label", "neighbor_count"]);
    assert_eq!(fields(new(vec![0.0; 1_001], None, 10_001)), ["instance_logits", "neighbor_count", "neighbor_count"]);
    let large = Image::new(ImageShape::gray(128, 128), vec![0; 16_384]).unwrap();
    let logits = Logits::new(vec![0.0; 30]).unwrap();
    let result = Distiller::new(StudentSpec::default(), large, logits, None, 4_000);
    assert_eq!(fields(result), ["instance_logits", "neighbor_count"]);

    let mut distiller = new(vec![0.0; 3], None, 40).unwrap();
    let batch = ImageBatch::new(SHAPE, vec![0; 2 * PIXELS]).unwrap();
    for logits in [vec![0.0; 5], vec![f32::NAN; 6], vec![f32::INFINITY; 6], vec![-2e6; 6]] {
        assert!(matches!(distiller.push(&batch, &logits), Err(Error::InvalidFields(_))));
    }
    let other = ImageBatch::new(ImageShape::gray(5, 4), vec![0; 20]).unwrap();
    assert!(matches!(distiller.push(&other, &[0.0; 3]), Err(Error::ImageShapeMismatch { .. })));
    assert_eq!(distiller.neighbor_count(), 0);
    assert!(matches!(fit(&distiller), Err(Error::InvalidFields(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn chunks_change_nothing_and_the_same_bytes_come_out(
        sizes in prop::collection::vec(1usize..60, 0..5), solver in 0usize..3,
    ) {
        let world = LinearWorld::new(101);
        let spec = StudentSpec { solver: SOLVERS[solver], ..Default::default() };
        let whole = fit(&world.distiller(spec.clone(), [])).unwrap();
        let pieces = fit(&world.distiller(spec, sizes)).unwrap();
        prop_assert_eq!(&whole, &pieces);
        for (one, other) in whole.classifier.weights().iter().flatten().zip(pieces.classifier.weights().iter().flatten()) {
            prop_assert_eq!(one.to_bits(), other.to_bits());
        }
    }
}
