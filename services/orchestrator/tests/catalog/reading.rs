//! What is read of a teacher that has been evaluated: matrix, examples, pages.

use proto::raw::deeper::catalog::v1::{self as raw, ExampleOrder};
use tonic::Code;

use crate::{
    reason,
    world::{GOLD, World},
    wrong_fields,
};

fn listing() -> raw::ListExamplesRequest {
    raw::ListExamplesRequest {
        parent: "datasets/tiny".to_owned(),
        split: "dev".to_owned(),
        teacher: "teachers/t".to_owned(),
        ..Default::default()
    }
}

async fn listed(world: &World, request: raw::ListExamplesRequest) -> Vec<u64> {
    let answer = world.catalog.clone().list_examples(request).await.unwrap().into_inner();
    assert_eq!(answer.total_size, answer.examples.len() as u64);
    answer.examples.iter().map(|example| example.index).collect()
}

#[tokio::test]
async fn the_matrix_and_its_cells_come_from_the_stored_answers() {
    let world = World::new().await;
    world.trained("t").await;
    let request = raw::GetConfusionMatrixRequest {
        teacher: "teachers/t".to_owned(),
        dataset: "datasets/tiny".to_owned(),
        split: String::new(),
    };
    let matrix = world.catalog.clone().get_confusion_matrix(request.clone()).await.unwrap().into_inner();
    assert_eq!((matrix.counts, matrix.split.as_str()), (vec![2, 1, 1, 2], "dev"));
    let cell = raw::ListExamplesRequest { gold_label: Some(0), predicted_label: Some(1), ..listing() };
    assert_eq!(listed(&world, cell).await, [2]);
    let errors = raw::ListExamplesRequest { errors_only: true, ..listing() };
    assert_eq!(listed(&world, errors).await, [2, 5]);

    let other = raw::GetConfusionMatrixRequest { split: "train".to_owned(), ..request };
    let missing = world.catalog.clone().get_confusion_matrix(other).await.unwrap_err();
    assert_eq!(reason(&missing), "EVALUATION_MISSING");
}

#[tokio::test]
async fn examples_are_ordered_by_index_confidence_or_margin() {
    let world = World::new().await;
    world.trained("t").await;
    let by = |order: ExampleOrder| raw::ListExamplesRequest { order: order.into(), ..listing() };
    assert_eq!(listed(&world, by(ExampleOrder::Index)).await, [0, 1, 2, 3, 4, 5]);
    // The logits' distance from 0 is the confidence of two classes.
    assert_eq!(listed(&world, by(ExampleOrder::Confidence)).await, [3, 0, 2, 5, 1, 4]);
    assert_eq!(listed(&world, by(ExampleOrder::Margin)).await, [4, 1, 5, 2, 0, 3]);
}

#[tokio::test]
async fn pages_cover_the_list_once_and_their_tokens_fit_no_other_request() {
    let world = World::new().await;
    world.trained("t").await;
    let mut catalog = world.catalog.clone();
    let mut request = raw::ListExamplesRequest { order: ExampleOrder::Confidence.into(), page_size: 4, ..listing() };
    let first = catalog.list_examples(request.clone()).await.unwrap().into_inner();
    assert_eq!((first.examples.len(), first.total_size), (4, 6));
    request.page_token = first.next_page_token;
    let second = catalog.list_examples(request.clone()).await.unwrap().into_inner();
    assert_eq!((second.examples.len(), second.next_page_token.as_str()), (2, ""));
    request.order = ExampleOrder::Margin.into();
    let refused = catalog.list_examples(request).await.unwrap_err();
    assert_eq!((refused.code(), wrong_fields(&refused)), (Code::InvalidArgument, vec!["page_token".to_owned()]));
}

#[tokio::test]
async fn an_example_brings_its_pixels_its_label_and_the_teachers_answer() {
    let world = World::new().await;
    world.trained("t").await;
    let mut catalog = world.catalog.clone();
    let name = "datasets/tiny/examples/dev-4".to_owned();
    let request = raw::GetExampleRequest { name: name.clone(), teacher: "teachers/t".to_owned() };
    let example = catalog.get_example(request).await.unwrap().into_inner();
    assert_eq!((example.gold_label, example.image.unwrap().pixels), (u32::from(GOLD[4]), vec![16, 17, 18, 19]));
    let sigmoid = 1.0 / (1.0 + (-0.25f64).exp());
    assert!((example.soft_labels.unwrap().probabilities[1] - sigmoid).abs() < 1e-9);

    let alone = raw::GetExampleRequest { name, teacher: String::new() };
    assert!(catalog.get_example(alone).await.unwrap().into_inner().soft_labels.is_none());
    for id in ["dev-6", "dev-04", "none-0", "dev-99999999999999999999"] {
        let name = format!("datasets/tiny/examples/{id}");
        let refused = catalog.get_example(raw::GetExampleRequest { name, teacher: String::new() }).await.unwrap_err();
        assert!(matches!(refused.code(), Code::NotFound | Code::InvalidArgument), "{id}: {refused:?}");
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_listing_is_named() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    let request = raw::ListExamplesRequest {
        split: "none".to_owned(),
        teacher: "teachers/".to_owned(),
        gold_label: Some(2),
        predicted_label: Some(7),
        order: 9,
        page_size: -1,
        page_token: "zz".to_owned(),
        ..listing()
    };
    let refused = catalog.list_examples(request).await.unwrap_err();
    let every =
        ["teacher", "order", "page_size", "page_token", "split", "gold_label", "predicted_label"].map(str::to_owned);
    assert_eq!(wrong_fields(&refused), every);
    let nobody = raw::ListExamplesRequest { teacher: String::new(), errors_only: true, ..listing() };
    assert_eq!(wrong_fields(&catalog.list_examples(nobody).await.unwrap_err()), ["teacher"]);
    let unknown = raw::ListExamplesRequest { parent: "datasets/none".to_owned(), ..listing() };
    assert_eq!(reason(&catalog.list_examples(unknown).await.unwrap_err()), "DATASET_NOT_FOUND");
}

#[tokio::test]
async fn a_teacher_that_trains_says_so_and_names_its_operation() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    let operation = catalog.create_teacher(crate::world::new_teacher("t")).await.unwrap().into_inner().name;
    let request = raw::ListExamplesRequest { errors_only: true, ..listing() };
    let early = catalog.list_examples(request).await.unwrap_err();
    assert_eq!(reason(&early), "MODEL_NOT_READY");
    assert!(matches!(
        proto::status::to_error(&early),
        domain::Error::ModelNotReady { operation: Some(named), .. } if named == operation
    ));
    let by_index = listed(&world, listing()).await;
    assert_eq!(by_index.len(), 6, "a list that needs no answers is there");
}

#[tokio::test]
async fn data_sets_and_models_are_listed_by_name_in_pages() {
    let world = World::new().await;
    let mut catalog = world.catalog.clone();
    for id in ["b", "a", "c"] {
        world.trained(id).await;
    }
    let request = raw::ListTeachersRequest { page_size: 2, page_token: String::new() };
    let first = catalog.list_teachers(request).await.unwrap().into_inner();
    let names: Vec<&str> = first.teachers.iter().map(|teacher| teacher.name.as_str()).collect();
    assert_eq!(names, ["teachers/a", "teachers/b"]);
    let request = raw::ListTeachersRequest { page_size: 2, page_token: first.next_page_token };
    let second = catalog.list_teachers(request).await.unwrap().into_inner();
    assert_eq!((second.teachers[0].name.as_str(), second.next_page_token.as_str()), ("teachers/c", ""));
    let datasets = catalog.list_datasets(raw::ListDatasetsRequest::default()).await.unwrap().into_inner().datasets;
    assert_eq!((datasets.len(), datasets[0].label_names.len()), (1, 2));
    let dataset = raw::GetDatasetRequest { name: "datasets/none".into() };
    assert_eq!(reason(&catalog.get_dataset(dataset).await.unwrap_err()), "DATASET_NOT_FOUND");
    let wrong = raw::GetDatasetRequest { name: "../etc".into() };
    assert_eq!(wrong_fields(&catalog.get_dataset(wrong).await.unwrap_err()), ["name"]);
}
