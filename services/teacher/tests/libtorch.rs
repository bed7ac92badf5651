//! The libtorch adapters on small synthetic data, one thread: learning, resuming, packing, gradients.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use domain::{
    Architecture, Image, ImageBatch, ImageShape, Label, Logits, ResourceName, Result, TeacherRecipe, TeacherSource,
};
use tch::{Device, Kind, Tensor};
use teacher::{
    networks::{Network, convolution::Mode},
    served::{Precision, ServedTeacher},
    teacher::{Classifier, Contrast, InputGradient},
    training::session::{Examples, Session},
};
use torch::{Checkpoint, Randomness};

const SHAPE: ImageShape = ImageShape::gray(28, 28);
const LABEL_COUNT: usize = 10;

/// Ten smooth random shapes, each with strong noise of its own in every image.
fn examples(count: usize, seed: u64) -> Examples {
    let (mut shapes, mut random) = (Randomness::new(5, 0), Randomness::new(seed, 1));
    let waves: Vec<[f64; 4]> = (0..LABEL_COUNT).map(|_| [(); 4].map(|()| shapes.uniform())).collect();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..count {
        let [a, b, c, d] = waves[i % LABEL_COUNT];
        for p in 0..SHAPE.pixel_count() {
            let (y, x) = ((p / 28) as f64 / 28.0, (p % 28) as f64 / 28.0);
            let wave = (12.0 * (a * x + b * y) + 6.0 * c).sin() * (9.0 * (d * x - c * y)).cos();
            let value = 110.0 + 90.0 * wave + 40.0 * random.normal();
            pixels.push(value.clamp(0.0, 255.0) as u8);
        }
        labels.push(Label((i % LABEL_COUNT) as u32));
    }
    Examples { images: ImageBatch::new(SHAPE, pixels).unwrap(), labels }
}

fn recipe(architecture: Architecture, epoch_count: u32, batch_size: u32) -> TeacherRecipe {
    TeacherRecipe {
        source: TeacherSource::Train(architecture),
        dataset: ResourceName::parse("datasets/waves", ResourceName::DATASET).unwrap(),
        training_split: "train".into(),
        evaluation_split: "test".into(),
        epoch_count,
        batch_size,
        learning_rate: 0.08,
        weight_decay: 5e-4,
        seed: 3,
    }
}

fn session(recipe: &TeacherRecipe, examples: &Examples, precision: Precision) -> Session {
    torch::device::set_thread_count(1);
    let TeacherSource::Train(architecture) = recipe.source else { panic!("not a new network") };
    let network = Network::random(architecture, LABEL_COUNT, recipe.seed, &examples.images, Device::Cpu).unwrap();
    Session::new(network, examples.clone(), recipe, precision).unwrap()
}

fn trained(architecture: Architecture, epoch_count: u32, batch_size: u32, examples: &Examples) -> Network {
    let mut session = session(&recipe(architecture, epoch_count, batch_size), examples, Precision::Full);
    while !session.is_done() {
        session.step().unwrap();
    }
    session.network
}

fn serve(network: Network, precision: Precision, batch_size: usize) -> ServedTeacher {
    ServedTeacher::new(network, "digest".into(), precision, batch_size).unwrap()
}

fn accuracy(answers: &[Logits], labels: &[Label]) -> f64 {
    let right = answers.iter().zip(labels).filter(|(answer, label)| answer.predicted_label() == **label).count();
    right as f64 / labels.len() as f64
}

#[test]
fn the_small_network_learns_and_its_packed_copy_answers_alike() {
    let held_out = examples(200, 77);
    let mut answers = Vec::new();
    for precision in [Precision::Full, Precision::quickest()] {
        let teacher = serve(trained(Architecture::SmallCnn, 3, 50, &examples(600, 1)), precision, 25);
        answers.push(teacher.logits(&held_out.images).unwrap());
        assert!(accuracy(&answers[answers.len() - 1], &held_out.labels) > 0.95);
    }
    let flips = answers[0].iter().zip(&answers[1]).filter(|(a, b)| a.predicted_label() != b.predicted_label()).count();
    assert!(flips <= 2, "{flips} of 200 classes change between f32 and the quickest precision");
}

#[test]
fn a_resumed_training_ends_with_the_same_bits() {
    let examples = examples(200, 1);
    let recipe = recipe(Architecture::SmallCnn, 2, 20);
    for precision in [Precision::Full, Precision::quickest()] {
        let mut straight = session(&recipe, &examples, precision);
        (0..20).for_each(|_| straight.step().unwrap());
        let mut first = session(&recipe, &examples, precision);
        (0..13).for_each(|_| first.step().unwrap());
        let bytes = first.checkpoint().unwrap().to_bytes().unwrap();
        let mut second = session(&recipe, &examples, precision);
        assert_eq!(second.resume(&Checkpoint::from_bytes(&bytes).unwrap()), Ok(true));
        (0..7).for_each(|_| second.step().unwrap());
        assert!(straight.is_done() && second.is_done());
        assert_eq!(straight.network.parameters.digest(), second.network.parameters.digest());
        let (a, b) = (straight.progress(), second.progress());
        assert_eq!((a.loss, a.accuracy, a.loss_curve), (b.loss, b.accuracy, b.loss_curve));
    }
}

#[test]
fn a_checkpoint_of_another_recipe_is_not_resumed() {
    let examples = examples(40, 1);
    let one = session(&recipe(Architecture::SmallCnn, 2, 20), &examples, Precision::Full);
    let mut other = session(&recipe(Architecture::SmallCnn, 3, 20), &examples, Precision::Full);
    assert_eq!(other.resume(&one.checkpoint().unwrap()), Ok(false));
}

#[test]
fn a_rate_that_is_too_large_ends_the_training_with_a_reason() {
    let examples = examples(200, 1);
    let wild = TeacherRecipe { learning_rate: 10.0, weight_decay: 1.0, ..recipe(Architecture::SmallCnn, 200, 20) };
    let mut session = session(&wild, &examples, Precision::Full);
    let outcome: Result<()> = (0..2_000).try_for_each(|_| session.step());
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("smaller learning rate"), "{error}");
}

#[test]
fn an_images_logits_do_not_depend_on_its_batch_mates() {
    let network = trained(Architecture::SmallCnn, 1, 50, &examples(100, 1));
    let teacher = serve(network, Precision::quickest(), 40);
    let images = examples(90, 9).images;
    let together = teacher.logits(&images).unwrap();
    for index in [0, 5, 39, 40, 41, 80, 89] {
        let alone = teacher.logits(&images.slice(index, index + 1)).unwrap();
        assert_eq!(alone[0], together[index], "image {index}");
        let shifted = teacher.logits(&images.slice(index / 2, index + 1)).unwrap();
        assert_eq!(shifted.last(), Some(&together[index]), "image {index}, shifted");
    }
}

/// The same network in f64, where differences are exact to many digits and kinks of ReLU are never hit.
fn in_double(network: &Network, pixels: &Tensor, contrast: Contrast) -> f64 {
    let _guard = tch::no_grad_guard();
    let logits = network.layers.forward(&network.normalize(pixels), Mode::Evaluate).get(0);
    logits.double_value(&[i64::from(contrast.target.0)])
        - contrast.baseline.map_or(0.0, |label| logits.double_value(&[i64::from(label.0)]))
}

#[test]
fn input_gradients_equal_finite_differences() {
    let train = || trained(Architecture::SmallCnn, 1, 50, &examples(100, 1));
    let image = Image::new(SHAPE, examples(3, 8).images.get(2).unwrap().to_vec()).unwrap();
    let contrast = Contrast { target: Label(3), baseline: Some(Label(7)) };
    let served = serve(train(), Precision::Full, 1);
    let InputGradient { slopes: gradient, logits } = served.input_gradient(&image, contrast).unwrap();
    let double = train();
    for (_, tensor) in double.parameters.iter() {
        tensor.shallow_clone().set_data(&tensor.detach().to_kind(Kind::Double));
    }
    let unit: Vec<f64> = image.unit_pixels().collect();
    let pixels = Tensor::from_slice(&unit).view([1, 1, 28, 28]);
    // The answer that comes with the slopes is that of the network they are slopes of.
    let score = in_double(&double, &pixels, contrast);
    assert!((contrast.score(&logits) - score).abs() < 1e-4, "{} is not {score}", contrast.score(&logits));
    let step = 1e-6;
    for (index, &slope) in gradient.values().iter().enumerate() {
        let moved = |by: f64| {
            let moved = pixels.copy();
            let _ = moved.view([-1]).get(index as i64).g_add_scalar_(by);
            in_double(&double, &moved, contrast)
        };
        let difference = (moved(step) - moved(-step)) / (2.0 * step);
        let gap = (f64::from(slope) - difference).abs();
        assert!(gap < 1e-4 * f64::from(gradient.max_abs()), "pixel {index}: {slope} is not {difference}");
    }
    assert!(gradient.max_abs() > 0.1, "the gradient is flat");
}

#[test]
fn resnet50_has_torchvisions_variables_and_packs_exactly() {
    torch::device::set_thread_count(1);
    let examples = examples(8, 1);
    let network = Network::random(Architecture::Resnet50, LABEL_COUNT, 1, &examples.images, Device::Cpu).unwrap();
    // torchvision's resnet50 has 25,557,032; less 2 input channels of the stem and 990 labels.
    assert_eq!(network.parameters.trainable_value_count(), 25_557_032 - 64 * 2 * 49 - 990 * 2_049);
    let names: Vec<&str> = network.parameters.iter().map(|(name, _)| name).collect();
    for name in ["conv1.weight", "bn1.running_var", "layer3.5.conv2.weight", "layer4.0.downsample.1.bias", "fc.bias"] {
        assert!(names.contains(&name), "{name} is missing");
    }
    // The last scale of each block starts at 0; give it a value, or most of the network is unused.
    for (name, tensor) in network.parameters.trainables().filter(|(name, _)| name.ends_with("bn3.weight")) {
        let _ = tensor.detach().fill_(0.5);
        assert_eq!(tensor.size().len(), 1, "{name}");
    }
    let expected = tch::no_grad(|| {
        let logits = network.layers.forward(&network.read(&examples.images).unwrap(), Mode::Evaluate);
        torch::tensors::to_floats(&logits).unwrap()
    });
    let largest = expected.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    let answers = serve(network, Precision::Full, 8).logits(&examples.images).unwrap();
    let got = answers.iter().flat_map(|answer| answer.values().to_vec());
    for (got, want) in got.zip(&expected) {
        assert!((got - want).abs() < 1e-4 * largest, "{got} is not {want}");
    }
}
