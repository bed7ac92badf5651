//! Small values for the tests of the state.

use domain::{
    Architecture, Autoencoder, AutoencoderRecipe, Dataset, Example, Explanation, ExplanationState, Fidelity, Heatmap,
    Image, ImageShape, Instance, InstanceFit, Label, LinearClassifier, ModelState, Neighbor, NeighborhoodSpec,
    ResourceName, SoftLabels, Split, Stability, Stage, Student, StudentSpec, Teacher, TeacherRecipe, TeacherSource,
    Temperature,
};

use super::{catalog::Activity, keys::ExplanationRequest};
use crate::components::shared::Shared;

pub(crate) fn name(text: &str, collections: &[&str]) -> ResourceName {
    ResourceName::parse(text, collections).unwrap()
}

pub(crate) fn dataset() -> Dataset {
    Dataset {
        name: name("datasets/mnist", ResourceName::DATASET),
        display_name: "MNIST".to_owned(),
        shape: ImageShape::gray(1, 2),
        label_names: vec!["0".to_owned(), "1".to_owned()],
        splits: vec![Split { id: "train".to_owned(), example_count: 60_000 }],
    }
}

pub(crate) fn teacher(id: &str, state: ModelState) -> Teacher {
    let ready = state == ModelState::Ready;
    Teacher {
        name: name(&format!("teachers/{id}"), ResourceName::TEACHER),
        display_name: id.to_owned(),
        recipe: TeacherRecipe {
            source: TeacherSource::Train(Architecture::SmallCnn),
            dataset: dataset().name,
            training_split: "t10k".to_owned(),
            evaluation_split: "train".to_owned(),
            epoch_count: 1,
            batch_size: 1,
            learning_rate: 0.1,
            weight_decay: 0.0,
            seed: 1,
        },
        state,
        architecture: Architecture::SmallCnn,
        digest: format!("digest-of-{id}"),
        engine: String::new(),
        accuracy: ready.then_some(0.97),
        evaluated_example_count: 60_000,
        operation: String::new(),
        create_time: 0,
        creator: "anonymous".to_owned(),
    }
}

pub(crate) fn autoencoder(id: &str, state: ModelState) -> Autoencoder {
    Autoencoder {
        name: name(&format!("autoencoders/{id}"), ResourceName::AUTOENCODER),
        display_name: id.to_owned(),
        recipe: AutoencoderRecipe::defaults(dataset().name, "train".to_owned()),
        state,
        digest: format!("digest-of-{id}"),
        loss: None,
        operation: String::new(),
        create_time: 0,
        creator: "anonymous".to_owned(),
    }
}

pub(crate) fn activity(name: &str, target: &str, done: bool) -> Activity {
    let (name, target, creator) = (name.to_owned(), target.to_owned(), "anonymous".to_owned());
    Activity { name, target, creator, done, error: None, progress: None, curve: Shared::default() }
}

pub(crate) fn soft_labels(probabilities: &[f64]) -> SoftLabels {
    SoftLabels { probabilities: probabilities.to_vec(), temperature: Temperature::ONE }
}

pub(crate) fn example(index: u64, gold: u32, probabilities: &[f64]) -> Example {
    Example {
        name: name(&format!("datasets/mnist/examples/train-{index}"), ResourceName::EXAMPLE),
        index,
        image: Image::new(ImageShape::gray(1, 2), vec![0, 255]).unwrap(),
        gold_label: Label(gold),
        soft_labels: Some(soft_labels(probabilities)),
    }
}

pub(crate) fn neighbor(index: u64) -> Neighbor {
    Neighbor { index, latent: vec![0.0, 0.0], soft_labels: soft_labels(&[0.5, 0.5]), image: None }
}

pub(crate) fn explanation_request() -> ExplanationRequest {
    ExplanationRequest {
        teacher: teacher("a", ModelState::Ready).name,
        autoencoder: autoencoder("v", ModelState::Ready).name,
        digests: ["digest-of-a".to_owned(), "digest-of-v".to_owned()],
        instance: Instance::Example(example(1, 0, &[1.0]).name),
        neighborhood: NeighborhoodSpec::default(),
        student: StudentSpec::default(),
        mark: None,
    }
}

pub(crate) fn explanation(request: &ExplanationRequest, labeled: usize, state: ExplanationState) -> Explanation {
    Explanation {
        name: name(&format!("explanations/{}", request.id()), ResourceName::EXPLANATION),
        display_name: String::new(),
        teacher: request.teacher.clone(),
        autoencoder: request.autoencoder.clone(),
        instance: request.instance.clone(),
        neighborhood: request.neighborhood.clone(),
        student_spec: request.student.clone(),
        stage: if state == ExplanationState::Succeeded { Stage::Complete } else { Stage::Labeling },
        state,
        operation: "operations/x".to_owned(),
        create_time: 0,
        creator: "anonymous".to_owned(),
        image: None,
        gold_label: None,
        soft_labels: None,
        latent: None,
        reconstruction: None,
        labeled_neighbor_count: labeled,
        student: None,
    }
}

pub(crate) fn student(l2: f64) -> Student {
    let shape = ImageShape::gray(1, 2);
    let map = || Heatmap::new(shape, vec![0.0, 1.0]).unwrap();
    let fit = InstanceFit { agrees: true, probability_gap: 0.0 };
    Student {
        name: name("explanations/x/students/default", ResourceName::STUDENT),
        spec: StudentSpec { l2, ..Default::default() },
        neighbor_count: 1_000,
        classifier: LinearClassifier::new(shape, vec![vec![0.0; 2]; 2], vec![0.0; 2]).unwrap(),
        contribution_maps: vec![map(), map()],
        contrast_map: map(),
        predicted_label: Label(1),
        contrast_label: Label(0),
        student_labels: soft_labels(&[0.5, 0.5]),
        teacher_labels: soft_labels(&[0.5, 0.5]),
        fidelity: Fidelity {
            held_out_neighbor_count: 1_000,
            cross_fitted: true,
            top1_agreement: 0.9,
            majority_baseline: 0.7,
            mean_kl: 0.01,
            constant_kl: 0.1,
            r_squared: 0.9,
            instance_held_out: fit,
            instance_fitted: fit,
            stability: Stability { split_half_cosine: 0.9 },
            label_counts: vec![500, 500],
        },
    }
}
