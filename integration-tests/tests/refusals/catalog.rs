//! Recipes, examples and confusion matrices.

use integration_tests::{
    Sandbox,
    world::{DATASET, TEACHER},
};
use proto::raw::deeper::{catalog::v1 as catalog, types::v1 as types};
use tonic::Code;

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
    // An unreadable name hides nothing, and an unknown architecture is told which there are.
    let unreadable = types::TeacherRecipe {
        source: Some(types::teacher_recipe::Source::Train(99)),
        dataset: "nonsense".into(),
        training_split: String::new(),
        ..recipe.clone()
    };
    let failure = refused!(catalog, create_teacher, request(unreadable));
    let every = ["train", "dataset", "training_split", "evaluation_split", "epoch_count", "batch_size"];
    for field in every.into_iter().chain(["learning_rate", "weight_decay"]) {
        assert!(failure.fields.contains(&format!("recipe.{field}")), "recipe.{field} is missing: {failure:?}");
    }
    let told = failure.description("recipe.train");
    assert!(told.contains("99 is not one of ARCHITECTURE_RESNET50 (1), ARCHITECTURE_SMALL_CNN (2)"), "{told}");
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
    refused!(catalog, get_confusion_matrix, request.clone()).expect_fields(&["split"]);
    let request = catalog::GetConfusionMatrixRequest { teacher: "nonsense".into(), ..request };
    refused!(catalog, get_confusion_matrix, request.clone()).expect_fields(&["teacher", "split"]);
    let request = catalog::GetConfusionMatrixRequest { dataset: "datasets/none".into(), ..request };
    refused!(catalog, get_confusion_matrix, request.clone()).expect_fields(&["teacher"]);
    let request = catalog::GetConfusionMatrixRequest { teacher: TEACHER.into(), ..request };
    let failure = refused!(catalog, get_confusion_matrix, request);
    failure.expect(Code::NotFound, "DATASET_NOT_FOUND");

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
    let failure = refused!(catalog, list_examples, request.clone());
    failure.expect_fields(&fields);
    let told = failure.description("order");
    assert!(told.contains("77 is not one of EXAMPLE_ORDER_INDEX (1)"), "{told}");
    // Without a data set to ask, everything is told that can be judged without.
    let request = catalog::ListExamplesRequest { parent: "nonsense".into(), split: String::new(), ..request };
    let fields = ["parent", "order", "page_size", "page_token", "split", "teacher"];
    refused!(catalog, list_examples, request).expect_fields(&fields);
    refused!(catalog, list_examples, catalog::ListExamplesRequest::default()).expect_fields(&["parent", "split"]);
    let nowhere =
        catalog::ListExamplesRequest { parent: "datasets/none".into(), split: "train".into(), ..Default::default() };
    refused!(catalog, list_examples, nowhere).expect(Code::NotFound, "DATASET_NOT_FOUND");
    let request = catalog::GetExampleRequest { name: "datasets/tiny/examples/x".into(), teacher: "x".into() };
    refused!(catalog, get_example, request).expect_fields(&["name", "teacher"]);
}
