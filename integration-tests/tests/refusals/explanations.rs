//! Explanations, their neighbors and their students.

use integration_tests::{Sandbox, api::explain_image, known::random_image, world::QUARTERS};
use proto::raw::deeper::{explanation::v1 as raw, types::v1 as types};
use tonic::Code;

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
        distribution: 9,
        anchoring: -1,
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
        "neighborhood.distribution",
        "neighborhood.anchoring",
        "student.temperature",
        "student.l2",
        "student.instance_weight",
        "student.neighbor_limit",
        "request_id",
    ];
    for field in expected {
        assert!(failure.fields.iter().any(|it| it == field), "{field} is missing: {failure:?}");
    }

    let told = failure.description("neighborhood.distribution");
    assert_eq!(told, "9 is not one of DISTRIBUTION_UNIFORM (1), DISTRIBUTION_GAUSSIAN (2)");
    let told = failure.description("neighborhood.anchoring");
    assert_eq!(told, "-1 is not one of ANCHORING_RESIDUAL (1), ANCHORING_NONE (2)");

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
}

#[tokio::test]
async fn a_student_is_refused_with_every_wrong_field() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api.explanations;
    let request =
        raw::CreateExplanationRequest { autoencoder: QUARTERS.into(), ..explain_image("x", &random_image(1)) };
    sandbox.api.explain(request).await.unwrap();
    let student = types::StudentSpec {
        temperature: Some(0.0),
        l2: Some(f64::NAN),
        instance_weight: Some(-1.0),
        neighbor_limit: Some(1),
        ranges: vec![
            types::LatentRange { dimension: 3, low: -1.0, high: 1.0 },
            types::LatentRange { dimension: 4, low: f32::NAN, high: 1.0 },
        ],
        ..Default::default()
    };
    let request = |parent: &str, id: &str, spec: &types::StudentSpec| raw::CreateStudentRequest {
        parent: parent.into(),
        student_id: id.into(),
        spec: Some(spec.clone()),
    };
    // The range is no range, and the explanation has no such dimension.
    let of_the_spec =
        ["temperature", "l2", "instance_weight", "neighbor_limit", "ranges[1]"].map(|field| format!("spec.{field}"));
    let of_the_spec: Vec<&str> = of_the_spec.iter().map(String::as_str).collect();
    let every = [of_the_spec.as_slice(), &["spec.ranges[1]", "student_id"]].concat();
    refused!(api, create_student, request("explanations/x", "Nope", &student)).expect_fields(&every);
    // Without an explanation to ask, everything is told that can be judged without.
    let every = [&["parent"], of_the_spec.as_slice(), &["student_id"]].concat();
    refused!(api, create_student, request("nonsense", "Nope", &student)).expect_fields(&every);
    refused!(api, create_student, request("explanations/none", "s", &student)).expect_fields(&of_the_spec);
    let fitting = types::StudentSpec::default();
    let failure = refused!(api, create_student, request("explanations/none", "s", &fitting));
    failure.expect(Code::NotFound, "EXPLANATION_NOT_FOUND");

    let nothing_left = types::StudentSpec {
        ranges: vec![types::LatentRange { dimension: 0, low: 19.0, high: 20.0 }],
        ..Default::default()
    };
    refused!(api, create_student, request("explanations/x", "s", &nothing_left)).expect_fields(&["spec.ranges"]);
}

#[tokio::test]
async fn lists_of_an_explanation_are_refused_with_every_wrong_field() {
    let sandbox = Sandbox::linear().await;
    let api = &sandbox.api.explanations;
    let (page_size, page_token) = (-1, "not-a-token".to_owned());
    let request =
        raw::ListNeighborsRequest { parent: "nonsense".into(), page_size, page_token: page_token.clone(), view: 7 };
    let failure = refused!(api, list_neighbors, request);
    failure.expect_fields(&["parent", "view", "page_size", "page_token"]);
    let told = failure.description("view");
    assert_eq!(told, "7 is not one of NEIGHBOR_VIEW_BASIC (1), NEIGHBOR_VIEW_FULL (2)");
    let request = raw::ListStudentsRequest { parent: "nonsense".into(), page_size, page_token };
    refused!(api, list_students, request).expect_fields(&["parent", "page_size", "page_token"]);

    // 0 is the default.
    sandbox.api.explain(explain_image("x", &random_image(1))).await.unwrap();
    let request = raw::ListNeighborsRequest { parent: "explanations/x".into(), page_size: 3, ..Default::default() };
    let page = api.clone().list_neighbors(request.clone()).await.unwrap().into_inner();
    assert!(page.neighbors.len() == 3 && page.neighbors.iter().all(|neighbor| neighbor.image.is_none()));
    // A token leads on in the view that it was made for.
    let next = raw::ListNeighborsRequest { page_token: page.next_page_token.clone(), ..request };
    let page = api.clone().list_neighbors(next.clone()).await.unwrap().into_inner();
    assert_eq!(page.neighbors[0].index, 3);
    let other = raw::ListNeighborsRequest { view: raw::NeighborView::Full.into(), ..next };
    refused!(api, list_neighbors, other).expect_fields(&["page_token"]);
}
