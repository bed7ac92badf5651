//! The four services as four programs that find each other by configuration: the whole story, and what
//! happens when one of them is killed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

use std::time::Duration;

use integration_tests::{
    Api, Failure,
    api::{explain_example, fitted},
    programs::Program,
    small::{AUTOENCODER, TEACHER, mnist_folder, trained_data},
};
use prost::Message;
use proto::raw::{
    deeper::{
        catalog::v1 as catalog,
        explanation::v1::{self as raw, State},
        types::v1 as types,
    },
    google::longrunning::{Operation, operation},
};
use tonic::Code;

/// Flags that make computing the same on every machine.
const COMPUTE: [(&str, &str); 3] = [("--threads", "1"), ("--teacher-precision", "f32"), ("--checkpoint-seconds", "1")];
/// How long a service that came back may take to be found again.
const COMEBACK_LIMIT: Duration = Duration::from_secs(30);

struct Cluster {
    api: Api,
    teacher: Program,
    _others: [Program; 3],
    artifacts: String,
    _data: tempfile::TempDir,
}

async fn start() -> Option<Cluster> {
    let mnist = mnist_folder()?;
    let data = trained_data(&mnist).await;
    let artifacts = data.path().join("artifacts").to_string_lossy().into_owned();
    let store = ("--artifacts", artifacts.as_str());
    let teacher = Program::start("teacher", &[&[store], COMPUTE.as_slice()].concat()).await;
    let vae = Program::start("vae", &[store, ("--threads", "1")]).await;
    let student = Program::start("student", &[]).await;
    let addresses = [teacher.url(), vae.url(), student.url()];
    let flags = [
        store,
        ("--teacher-address", &addresses[0]),
        ("--vae-address", &addresses[1]),
        ("--student-address", &addresses[2]),
    ];
    let orchestrator = Program::start("orchestrator", &flags).await;
    let api = Api::over(runtime::channel::connect("orchestrator", &orchestrator.url()).unwrap());
    Some(Cluster { api, teacher, _others: [vae, student, orchestrator], artifacts, _data: data })
}

fn explain(id: &str, example: &str) -> raw::CreateExplanationRequest {
    raw::CreateExplanationRequest {
        teacher: TEACHER.into(),
        autoencoder: AUTOENCODER.into(),
        neighborhood: Some(types::NeighborhoodSpec { neighbor_count: Some(300), ..Default::default() }),
        ..explain_example(id, example)
    }
}

#[tokio::test]
async fn the_whole_story_runs_over_four_programs_and_outlives_a_killed_teacher() {
    let Some(cluster) = start().await else { return };
    let api = &cluster.api;

    // Where is it wrong? The matrix and the list of errors are of one mind.
    let request = catalog::GetConfusionMatrixRequest {
        teacher: TEACHER.into(),
        dataset: "datasets/mnist".into(),
        split: String::new(),
    };
    let matrix = api.catalog.clone().get_confusion_matrix(request).await.unwrap().into_inner();
    let cell = (0..100).filter(|cell| cell / 10 != cell % 10).max_by_key(|&cell| matrix.counts[cell]).unwrap();
    let request = catalog::ListExamplesRequest {
        parent: "datasets/mnist".into(),
        split: matrix.split.clone(),
        teacher: TEACHER.into(),
        gold_label: Some(cell as u32 / 10),
        predicted_label: Some(cell as u32 % 10),
        order: catalog::ExampleOrder::Confidence.into(),
        ..Default::default()
    };
    let listed = api.catalog.clone().list_examples(request).await.unwrap().into_inner();
    assert_eq!(listed.total_size, matrix.counts[cell]);
    let example = &listed.examples[0];

    // Why? An error that is listed is an error when it is opened.
    let explanation = api.explain(explain("x", &example.name)).await.unwrap();
    assert_eq!(explanation.state(), State::Succeeded, "{:?}", explanation.error);
    assert_eq!(explanation.soft_labels, example.soft_labels);
    let student = fitted(&explanation);
    assert_eq!((student.predicted_label as usize, student.contrast_label as usize), (cell % 10, cell / 10));
    assert_eq!((student.weight_maps.len(), student.contribution_maps.len()), (10, 10));
    let request = raw::CreateStudentRequest {
        parent: explanation.name.clone(),
        student_id: "sharper".into(),
        spec: Some(types::StudentSpec {
            solver: Some(types::student_spec::Solver::Lbfgs(Default::default())),
            ..Default::default()
        }),
    };
    assert_ne!(api.distill(request).await.unwrap().fitted.as_ref(), Some(student));
    let request = raw::AttributeInstanceRequest {
        teacher: TEACHER.into(),
        instance: explanation.instance.clone(),
        spec: Some(types::AttributionSpec {
            method: Some(types::attribution_spec::Method::GradientTimesInput(types::GradientTimesInput {})),
            ..Default::default()
        }),
    };
    let attribution = api.explanations.clone().attribute_instance(request).await.unwrap().into_inner();
    assert_eq!(attribution.spec.unwrap().baseline_label, Some(cell as u32 / 10));

    // A teacher that was killed is told of, and found again when it is back.
    let address = cluster.teacher.address;
    cluster.teacher.kill().await;
    let other = &listed.examples[1].name;
    let failed = api.explain(explain("while-it-is-gone", other)).await.unwrap();
    let failure = Failure::from(failed.error.expect("there is no teacher"));
    failure.expect(Code::Unavailable, "UPSTREAM_UNAVAILABLE");
    let store = ("--artifacts", cluster.artifacts.as_str());
    let flags = [&[store], COMPUTE.as_slice()].concat();
    let _teacher = Program::start_at(address, "teacher", &flags).await;
    let back = async {
        for attempt in 0.. {
            let explained = api.explain(explain(&format!("again-{attempt}"), other)).await.unwrap();
            if explained.state() == State::Succeeded {
                return;
            }
        }
    };
    tokio::time::timeout(COMEBACK_LIMIT, back).await.expect("the teacher is found again");
}

#[tokio::test]
async fn a_training_whose_program_is_killed_goes_on_to_the_same_weights() {
    let Some(cluster) = start().await else { return };
    let recipe = || types::TeacherRecipe {
        source: Some(types::teacher_recipe::Source::Train(types::Architecture::SmallCnn.into())),
        dataset: "datasets/mnist".into(),
        training_split: "t10k".into(),
        // Judged on the small split: this is about the weights.
        evaluation_split: "t10k".into(),
        epoch_count: Some(2),
        seed: Some(5),
        ..Default::default()
    };
    let create = async |id: &str| -> Operation {
        let request =
            catalog::CreateTeacherRequest { teacher_id: id.into(), recipe: Some(recipe()), ..Default::default() };
        cluster.api.catalog.clone().create_teacher(request).await.unwrap().into_inner()
    };
    let digest = async |operation: Operation| {
        let ended = cluster.api.finished(operation).await.unwrap();
        match ended.result {
            Some(operation::Result::Response(teacher)) => catalog::Teacher::decode(&*teacher.value).unwrap().digest,
            other => panic!("the training failed: {other:?}"),
        }
    };
    let undisturbed = digest(create("undisturbed").await).await;

    let killed = create("killed").await;
    let mut activity =
        cluster.api.catalog.clone().watch_activity(catalog::WatchActivityRequest {}).await.unwrap().into_inner();
    // Between the first checkpoint and the end: past the first epoch.
    loop {
        let update = activity.message().await.unwrap().unwrap().update.unwrap();
        if let catalog::watch_activity_response::Update::Operation(operation) = update
            && operation.name == killed.name
        {
            assert!(!operation.done, "it was done before it could be killed");
            if operation.progress.is_some_and(|progress| progress.epoch >= 1) {
                break;
            }
        }
    }
    let address = cluster.teacher.address;
    cluster.teacher.kill().await;
    let store = ("--artifacts", cluster.artifacts.as_str());
    let flags = [&[store], COMPUTE.as_slice()].concat();
    let _teacher = Program::start_at(address, "teacher", &flags).await;
    assert_eq!(digest(killed).await, undisturbed);
}
