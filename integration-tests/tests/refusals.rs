//! Malformed, oversized, NaN, wrong-shape and empty inputs, on every public call: each gets its typed error
//! with all wrong fields at once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use domain::{Image, ImageShape};
use integration_tests::{
    Failure, Sandbox,
    api::{explain_image, own_image},
    known::random_image,
    world::{DATASET, IDENTITY, QUARTERS, TEACHER},
};
use proto::raw::{
    deeper::{
        catalog::v1 as catalog,
        explanation::v1::{self as raw, instance::Source, own_image::Data},
        types::v1 as types,
    },
    google::longrunning as lro,
};
use tonic::Code;

/// The failure of a call that must be refused.
macro_rules! refused {
    ($client:expr, $rpc:ident, $request:expr) => {
        Failure::of($client.clone().$rpc($request).await)
    };
}

fn png(bytes: Vec<u8>) -> Option<raw::Instance> {
    let own = raw::OwnImage { data: Some(Data::Png(bytes)), gold_label: None };
    Some(raw::Instance { source: Some(Source::Image(own)) })
}

fn pixels(height: u32, width: u32, pixels: Vec<u8>) -> Option<raw::Instance> {
    let image = types::Image { channels: 1, height, width, pixels };
    let own = raw::OwnImage { data: Some(Data::Pixels(image)), gold_label: None };
    Some(raw::Instance { source: Some(Source::Image(own)) })
}

fn instance() -> Option<raw::Instance> {
    Some(own_image(&random_image(1)))
}

#[tokio::test]
async fn lists_refuse_negative_sizes_and_foreign_page_tokens() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api;
    macro_rules! check {
        ($client:expr, $rpc:ident, $request:ty) => {
            let (page_size, page_token) = (-1, "not-a-token".to_owned());
            refused!($client, $rpc, <$request>::from_page(page_size, page_token))
                .expect_fields(&["page_size", "page_token"]);
        };
    }
    check!(api.catalog, list_datasets, catalog::ListDatasetsRequest);
    check!(api.catalog, list_teachers, catalog::ListTeachersRequest);
    check!(api.catalog, list_autoencoders, catalog::ListAutoencodersRequest);
    check!(api.explanations, list_explanations, raw::ListExplanationsRequest);
    let request = lro::ListOperationsRequest {
        name: "elsewhere".into(),
        filter: "done=true".into(),
        page_size: -1,
        page_token: "not-a-token".into(),
    };
    refused!(api.operations, list_operations, request).expect_fields(&["name", "filter", "page_size", "page_token"]);
}

/// The lists' requests are alike but have no type in common.
trait FromPage {
    fn from_page(page_size: i32, page_token: String) -> Self;
}

macro_rules! from_page {
    ($($request:ty),+) => {
        $(impl FromPage for $request {
            fn from_page(page_size: i32, page_token: String) -> Self {
                Self { page_size, page_token }
            }
        })+
    };
}

from_page!(
    catalog::ListDatasetsRequest,
    catalog::ListTeachersRequest,
    catalog::ListAutoencodersRequest,
    raw::ListExplanationsRequest
);

#[tokio::test]
async fn malformed_names_are_wrong_fields_and_unknown_ones_are_not_found() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api;
    macro_rules! check {
        ($client:expr, $rpc:ident, $request:expr, $field:literal, $unknown:literal, $reason:literal) => {
            let request = $request;
            for malformed in ["", "nonsense", "teachers/../../etc", "operations/UPPER", &"x".repeat(100_000)] {
                refused!($client, $rpc, request(malformed.to_owned())).expect_fields(&[$field]);
            }
            let failure = refused!($client, $rpc, request($unknown.to_owned()));
            failure.expect(Code::NotFound, $reason);
            assert_eq!(failure.details.resource_info().unwrap().resource_name, $unknown);
        };
    }
    let get = |name| catalog::GetDatasetRequest { name };
    check!(api.catalog, get_dataset, get, "name", "datasets/none", "DATASET_NOT_FOUND");
    let get = |name| catalog::GetTeacherRequest { name };
    check!(api.catalog, get_teacher, get, "name", "teachers/none", "TEACHER_NOT_FOUND");
    let delete = |name| catalog::DeleteTeacherRequest { name };
    check!(api.catalog, delete_teacher, delete, "name", "teachers/none", "TEACHER_NOT_FOUND");
    let get = |name| catalog::GetAutoencoderRequest { name };
    check!(api.catalog, get_autoencoder, get, "name", "autoencoders/none", "AUTOENCODER_NOT_FOUND");
    let delete = |name| catalog::DeleteAutoencoderRequest { name };
    check!(api.catalog, delete_autoencoder, delete, "name", "autoencoders/none", "AUTOENCODER_NOT_FOUND");
    let get = |name| catalog::GetExampleRequest { name, teacher: String::new() };
    check!(api.catalog, get_example, get, "name", "datasets/tiny/examples/train-999", "EXAMPLE_NOT_FOUND");

    let get = |name| raw::GetExplanationRequest { name };
    check!(api.explanations, get_explanation, get, "name", "explanations/none", "EXPLANATION_NOT_FOUND");
    let watch = |name| raw::WatchExplanationRequest { name };
    check!(api.explanations, watch_explanation, watch, "name", "explanations/none", "EXPLANATION_NOT_FOUND");
    let delete = |name| raw::DeleteExplanationRequest { name };
    check!(api.explanations, delete_explanation, delete, "name", "explanations/none", "EXPLANATION_NOT_FOUND");
    let list = |parent| raw::ListNeighborsRequest { parent, ..Default::default() };
    check!(api.explanations, list_neighbors, list, "parent", "explanations/none", "EXPLANATION_NOT_FOUND");
    let list = |parent| raw::ListStudentsRequest { parent, ..Default::default() };
    check!(api.explanations, list_students, list, "parent", "explanations/none", "EXPLANATION_NOT_FOUND");
    let create = |parent| raw::CreateStudentRequest { parent, ..Default::default() };
    check!(api.explanations, create_student, create, "parent", "explanations/none", "EXPLANATION_NOT_FOUND");
    let get = |name| raw::GetStudentRequest { name };
    let failure = refused!(api.explanations, get_student, get("explanations/x".to_owned()));
    failure.expect_fields(&["name"]);
    let failure = refused!(api.explanations, get_student, get("explanations/none/students/s".to_owned()));
    assert_eq!(failure.code, Code::NotFound);

    let get = |name| lro::GetOperationRequest { name };
    check_operation(&api.operations, get("nonsense".into()), get("operations/none".into())).await;
    let cancel = |name: &str| lro::CancelOperationRequest { name: name.to_owned() };
    refused!(api.operations, cancel_operation, cancel("")).expect_fields(&["name"]);
    refused!(api.operations, cancel_operation, cancel("operations/none")).expect(Code::NotFound, "OPERATION_NOT_FOUND");
    let delete = |name: &str| lro::DeleteOperationRequest { name: name.to_owned() };
    refused!(api.operations, delete_operation, delete("")).expect_fields(&["name"]);
    refused!(api.operations, delete_operation, delete("operations/none")).expect(Code::NotFound, "OPERATION_NOT_FOUND");
    let timeout = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    let wait = lro::WaitOperationRequest { name: "nonsense".into(), timeout };
    refused!(api.operations, wait_operation, wait).expect_fields(&["name", "timeout"]);
}

async fn check_operation(
    operations: &lro::operations_client::OperationsClient<runtime::channel::Channel>,
    malformed: lro::GetOperationRequest,
    unknown: lro::GetOperationRequest,
) {
    refused!(operations, get_operation, malformed).expect_fields(&["name"]);
    refused!(operations, get_operation, unknown).expect(Code::NotFound, "OPERATION_NOT_FOUND");
}

#[tokio::test]
async fn recipes_are_refused_with_every_wrong_field() {
    let sandbox = Sandbox::linear().await;
    let catalog = &sandbox.api.catalog;
    refused!(catalog, create_teacher, catalog::CreateTeacherRequest::default())
        .expect_fields(&["teacher_id", "recipe"]);
    let recipe = types::TeacherRecipe {
        source: Some(types::teacher_recipe::Source::Train(types::Architecture::SmallCnn.into())),
        dataset: DATASET.into(),
        training_split: "none".into(),
        evaluation_split: String::new(),
        epoch_count: Some(0),
        batch_size: Some(5_000),
        learning_rate: Some(f64::NAN),
        weight_decay: Some(-1.0),
        seed: None,
    };
    let request = |recipe| catalog::CreateTeacherRequest {
        teacher_id: "Nope".into(),
        display_name: "x".repeat(201),
        recipe: Some(recipe),
        request_id: "not a uuid".into(),
    };
    let failure = refused!(catalog, create_teacher, request(recipe.clone()));
    for field in ["teacher_id", "display_name", "request_id", "recipe.epoch_count", "recipe.batch_size"] {
        assert!(failure.fields.iter().any(|it| it == field), "{field} is missing: {failure:?}");
    }
    for field in ["recipe.learning_rate", "recipe.weight_decay"] {
        assert!(failure.fields.iter().any(|it| it == field), "{field} is missing: {failure:?}");
    }
    // A recipe that can be read is checked against the data set.
    let readable = types::TeacherRecipe {
        epoch_count: None,
        batch_size: None,
        learning_rate: None,
        weight_decay: None,
        evaluation_split: "none".into(),
        ..recipe
    };
    let failure = refused!(catalog, create_teacher, request(readable));
    for field in ["recipe.training_split", "recipe.evaluation_split"] {
        assert!(failure.fields.iter().any(|it| it == field), "{field} is missing: {failure:?}");
    }

    let request = catalog::CreateAutoencoderRequest::default();
    refused!(catalog, create_autoencoder, request).expect_fields(&["autoencoder_id", "recipe"]);
    let recipe = types::AutoencoderRecipe {
        dataset: DATASET.into(),
        training_split: "train".into(),
        latent_dimension_count: Some(1),
        hidden_size: Some(1_000_000),
        beta: Some(f64::INFINITY),
        learning_rate: Some(f64::NAN),
        ..Default::default()
    };
    let request =
        catalog::CreateAutoencoderRequest { autoencoder_id: "a".into(), recipe: Some(recipe), ..Default::default() };
    let failure = refused!(catalog, create_autoencoder, request);
    for field in ["latent_dimension_count", "hidden_size", "beta", "learning_rate"] {
        let path = format!("recipe.{field}");
        assert!(failure.fields.contains(&path), "{path} is missing: {failure:?}");
    }
}

#[tokio::test]
async fn examples_and_matrices_are_refused_with_every_wrong_field() {
    let sandbox = Sandbox::linear().await;
    let catalog = &sandbox.api.catalog;
    let request = catalog::GetConfusionMatrixRequest::default();
    refused!(catalog, get_confusion_matrix, request).expect_fields(&["teacher", "dataset"]);
    let request =
        catalog::GetConfusionMatrixRequest { teacher: TEACHER.into(), dataset: DATASET.into(), split: "none".into() };
    let failure = refused!(catalog, get_confusion_matrix, request);
    assert!(matches!(failure.code, Code::NotFound | Code::InvalidArgument), "{failure:?}");

    let request = catalog::ListExamplesRequest {
        parent: DATASET.into(),
        split: "none".into(),
        gold_label: Some(3),
        predicted_label: Some(u32::MAX),
        errors_only: true,
        order: 77,
        page_size: -1,
        page_token: "x".into(),
        ..Default::default()
    };
    let fields = ["order", "page_size", "page_token", "split", "gold_label", "predicted_label", "teacher"];
    refused!(catalog, list_examples, request).expect_fields(&fields);
    refused!(catalog, list_examples, catalog::ListExamplesRequest::default()).expect_fields(&["parent"]);
    let request = catalog::GetExampleRequest { name: "datasets/tiny/examples/x".into(), teacher: "x".into() };
    refused!(catalog, get_example, request).expect_fields(&["name", "teacher"]);
}

#[tokio::test]
async fn specs_with_nan_and_out_of_range_numbers_are_refused_field_by_field() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api.explanations;
    let request = raw::CreateExplanationRequest::default();
    refused!(api, create_explanation, request).expect_fields(&["teacher", "autoencoder", "instance"]);

    let neighborhood = types::NeighborhoodSpec {
        neighbor_count: Some(31),
        radius: Some(f32::NAN),
        ranges: vec![
            types::LatentRange { dimension: 0, low: 1.0, high: -1.0 },
            types::LatentRange { dimension: 0, low: f32::NAN, high: 21.0 },
        ],
        center: Some(types::LatentPoint { coordinates: vec![f32::INFINITY] }),
        ..Default::default()
    };
    let student = types::StudentSpec {
        temperature: Some(0.0),
        l2: Some(f64::NAN),
        instance_weight: Some(-1.0),
        neighbor_limit: Some(1),
        ..Default::default()
    };
    let request = raw::CreateExplanationRequest {
        neighborhood: Some(neighborhood),
        student: Some(student.clone()),
        request_id: "not a uuid".into(),
        ..explain_image("x", &random_image(1))
    };
    let failure = refused!(api, create_explanation, request);
    failure.expect(Code::InvalidArgument, "INVALID_FIELDS");
    let expected = [
        "neighborhood.neighbor_count",
        "neighborhood.radius",
        "neighborhood.ranges[0]",
        "neighborhood.ranges[1]",
        "neighborhood.center",
        "student.temperature",
        "student.l2",
        "student.instance_weight",
        "student.neighbor_limit",
        "request_id",
    ];
    for field in expected {
        assert!(failure.fields.iter().any(|it| it == field), "{field} is missing: {failure:?}");
    }

    // What only the autoencoder can tell is told as well.
    let neighborhood = types::NeighborhoodSpec {
        ranges: vec![types::LatentRange { dimension: 4, low: 0.0, high: 1.0 }],
        center: Some(types::LatentPoint { coordinates: vec![0.0; 3] }),
        ..Default::default()
    };
    let request = raw::CreateExplanationRequest {
        autoencoder: QUARTERS.into(),
        neighborhood: Some(neighborhood),
        ..explain_image("x", &random_image(1))
    };
    refused!(api, create_explanation, request).expect_fields(&["neighborhood.ranges[0]", "neighborhood.center"]);

    sandbox.api.explain(explain_image("x", &random_image(1))).await.unwrap();
    let request =
        raw::CreateStudentRequest { parent: "explanations/x".into(), student_id: "s".into(), spec: Some(student) };
    let failure = refused!(api, create_student, request);
    failure.expect_fields(&["spec.temperature", "spec.l2", "spec.instance_weight", "spec.neighbor_limit"]);
    let nothing_left = types::StudentSpec {
        ranges: vec![types::LatentRange { dimension: 0, low: 19.0, high: 20.0 }],
        ..Default::default()
    };
    let request =
        raw::CreateStudentRequest { parent: "explanations/x".into(), student_id: "s".into(), spec: Some(nothing_left) };
    refused!(api, create_student, request).expect_fields(&["spec.ranges"]);
}

#[tokio::test]
async fn images_of_the_wrong_shape_size_or_kind_are_refused_by_every_call_that_takes_one() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api.explanations;
    let large = Image::new(ImageShape::gray(28, 28), vec![0; 784]).unwrap();
    let bad: [(&str, Option<raw::Instance>, &str); 8] = [
        ("nothing", None, "INVALID_FIELDS"),
        ("no source", Some(raw::Instance { source: None }), "INVALID_FIELDS"),
        ("an empty PNG", png(Vec::new()), "INVALID_FIELDS"),
        ("no PNG", png(b"GIF89a".to_vec()), "INVALID_FIELDS"),
        ("a PNG beyond 10 MB", png(vec![0x89; 10_000_001]), "INVALID_FIELDS"),
        ("too few pixels", pixels(8, 8, vec![0; 63]), "INVALID_FIELDS"),
        ("an impossible shape", pixels(u32::MAX, u32::MAX, vec![0; 64]), "INVALID_FIELDS"),
        ("another shape", Some(own_image(&large)), "IMAGE_SHAPE_MISMATCH"),
    ];
    for (what, instance, reason) in bad {
        let (teacher, autoencoder) = (TEACHER.to_owned(), IDENTITY.to_owned());
        let check = |failure: Failure| {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::InvalidArgument, reason), "{what}: {failure:?}");
            assert!(reason != "INVALID_FIELDS" || !failure.fields.is_empty(), "{what}: {failure:?}");
        };
        let request = raw::CreateExplanationRequest {
            teacher: teacher.clone(),
            autoencoder: autoencoder.clone(),
            instance: instance.clone(),
            ..Default::default()
        };
        check(refused!(api, create_explanation, request));
        let request = raw::EncodeInstanceRequest {
            teacher: teacher.clone(),
            autoencoder: autoencoder.clone(),
            instance: instance.clone(),
        };
        check(refused!(api, encode_instance, request));
        let request =
            raw::AttributeInstanceRequest { teacher: teacher.clone(), instance: instance.clone(), spec: None };
        check(refused!(api, attribute_instance, request));
        let request = raw::InterpolateInstancesRequest {
            teacher: teacher.clone(),
            autoencoder: autoencoder.clone(),
            from: self::instance(),
            to: instance.clone(),
            ..Default::default()
        };
        check(refused!(api, interpolate_instances, request));
        if instance.is_some() {
            let latents = vec![types::LatentPoint { coordinates: vec![0.0; 64] }];
            let request = raw::DecodeLatentsRequest { teacher, autoencoder, latents, anchor: instance };
            check(refused!(api, decode_latents, request));
        }
    }
    // A message that no service reads to its end.
    let failure = refused!(
        api,
        create_explanation,
        raw::CreateExplanationRequest { instance: png(vec![0; 13 << 20]), ..explain_image("x", &random_image(1)) }
    );
    assert!(matches!(failure.code, Code::OutOfRange | Code::ResourceExhausted), "{failure:?}");
    assert!(!failure.reason.is_empty(), "{failure:?}");

    let mut labelled = explain_image("x", &random_image(1));
    if let Some(raw::Instance { source: Some(Source::Image(own)) }) = &mut labelled.instance {
        own.gold_label = Some(3);
    }
    let failure = refused!(api, create_explanation, labelled);
    failure.expect(Code::InvalidArgument, "INVALID_FIELDS");
    assert!(failure.fields[0].ends_with("gold_label"), "{failure:?}");
}

#[tokio::test]
async fn latents_steps_and_attributions_out_of_range_are_refused() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api.explanations;
    let decode = |latents: Vec<Vec<f32>>| raw::DecodeLatentsRequest {
        teacher: TEACHER.into(),
        autoencoder: QUARTERS.into(),
        latents: latents.into_iter().map(Into::into).collect(),
        anchor: None,
    };
    refused!(api, decode_latents, decode(vec![])).expect_fields(&["latents"]);
    refused!(api, decode_latents, decode(vec![vec![0.0; 4]; 257])).expect_fields(&["latents"]);
    let strange = decode(vec![vec![0.0; 4], vec![f32::NAN; 4], vec![0.0, 0.0, 0.0, 20.5]]);
    refused!(api, decode_latents, strange).expect_fields(&["latents[1]", "latents[2]"]);
    let failure = refused!(api, decode_latents, decode(vec![vec![0.0; 3]]));
    failure.expect(Code::InvalidArgument, "INVALID_FIELDS");
    refused!(api, decode_latents, raw::DecodeLatentsRequest::default()).expect_fields(&[
        "teacher",
        "autoencoder",
        "latents",
    ]);

    let walk = |step_count| raw::InterpolateInstancesRequest {
        teacher: TEACHER.into(),
        autoencoder: QUARTERS.into(),
        from: instance(),
        to: instance(),
        step_count,
        ..Default::default()
    };
    for step_count in [1, 65, u32::MAX] {
        refused!(api, interpolate_instances, walk(step_count)).expect_fields(&["step_count"]);
    }

    let attribute =
        |spec| raw::AttributeInstanceRequest { teacher: TEACHER.into(), instance: instance(), spec: Some(spec) };
    let occlusion = |patch_size, stride| {
        let occlusion = types::Occlusion { patch_size: Some(patch_size), stride: Some(stride) };
        let method = Some(types::attribution_spec::Method::Occlusion(occlusion));
        types::AttributionSpec { method, ..Default::default() }
    };
    for (patch_size, stride) in [(0, 1), (9, 1), (3, 0), (3, 4)] {
        let failure = refused!(api, attribute_instance, attribute(occlusion(patch_size, stride)));
        failure.expect(Code::InvalidArgument, "INVALID_FIELDS");
    }
    for (target_label, baseline_label) in [(Some(3), None), (Some(0), Some(7)), (Some(1), Some(1))] {
        let spec = types::AttributionSpec { target_label, baseline_label, ..Default::default() };
        let failure = refused!(api, attribute_instance, attribute(spec));
        failure.expect(Code::InvalidArgument, "INVALID_FIELDS");
    }
}
