//! What a caller chooses counts: neighbors by limit and band, names, request ids.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use integration_tests::{
    Failure, Sandbox,
    api::{explain_image, fitted, neighbors},
    known::random_image,
};
use proto::raw::deeper::{
    explanation::v1::{self as raw, State},
    types::v1 as types,
};

/// Everything above the band's foot; the center of a neighborhood is about 0 on every axis.
fn upper_half() -> Vec<types::LatentRange> {
    vec![types::LatentRange { dimension: 0, low: 0.0, high: 20.0 }]
}

fn nothing() -> Vec<types::LatentRange> {
    vec![types::LatentRange { dimension: 0, low: 19.0, high: 20.0 }]
}

fn asking(id: &str, student: types::StudentSpec) -> raw::CreateExplanationRequest {
    raw::CreateExplanationRequest {
        neighborhood: neighbors(200),
        student: Some(student),
        ..explain_image(id, &random_image(1))
    }
}

#[tokio::test]
async fn a_first_student_takes_the_neighbors_it_asks_for() {
    let sandbox = Sandbox::linear().await;
    let limited = types::StudentSpec { neighbor_limit: Some(150), ..Default::default() };
    let explanation = sandbox.api.explain(asking("limited", limited)).await.unwrap();
    assert_eq!(explanation.state(), State::Succeeded, "{:?}", explanation.error);
    assert_eq!((explanation.labeled_neighbor_count, fitted(&explanation).neighbor_count), (200, 150));

    let all = sandbox.api.neighbors("explanations/limited").await.unwrap();
    let inside = all.iter().filter(|one| one.latent.as_ref().unwrap().coordinates[0] >= 0.0).count();
    let banded = types::StudentSpec { ranges: upper_half(), ..Default::default() };
    let explanation = sandbox.api.explain(asking("banded", banded)).await.unwrap();
    assert_eq!(fitted(&explanation).neighbor_count as usize, inside);
    assert_eq!(fitted(&explanation).spec.as_ref().unwrap().ranges, upper_half());

    let excluded = types::StudentSpec { ranges: nothing(), ..Default::default() };
    let explanation = sandbox.api.explain(asking("excluded", excluded)).await.unwrap();
    assert_eq!(explanation.state(), State::Failed);
    assert!(explanation.error.unwrap().message.contains("leave 0 neighbors"));
}

#[tokio::test]
async fn a_student_that_did_not_come_about_leaves_its_name_free() {
    let sandbox = Sandbox::linear().await;
    sandbox.api.explain(asking("x", types::StudentSpec::default())).await.unwrap();
    let student = |ranges| raw::CreateStudentRequest {
        parent: "explanations/x".into(),
        student_id: "mine".into(),
        spec: Some(types::StudentSpec { ranges, ..Default::default() }),
    };
    Failure::of(sandbox.api.distill(student(nothing())).await).expect_fields(&["spec.ranges"]);
    sandbox.api.distill(student(upper_half())).await.unwrap();

    let request = raw::ListStudentsRequest { parent: "explanations/x".into(), ..Default::default() };
    let listed = sandbox.api.explanations.clone().list_students(request).await.unwrap().into_inner().students;
    let names: Vec<&str> = listed.iter().map(|student| student.name.as_str()).collect();
    assert_eq!(names, ["explanations/x/students/default", "explanations/x/students/mine"]);
}

#[tokio::test]
async fn a_request_id_is_one_request_however_it_is_written() {
    let sandbox = Sandbox::linear().await;
    let with_id = |request_id: &str, count| raw::CreateExplanationRequest {
        explanation_id: String::new(),
        request_id: request_id.into(),
        neighborhood: neighbors(count),
        ..explain_image("", &random_image(1))
    };
    let mut client = sandbox.api.explanations.clone();
    let hyphenated = "0a8f0f4e-5a44-4f8e-9d7e-2a1f6f1f0b11";
    let first = client.create_explanation(with_id(hyphenated, 64)).await.unwrap().into_inner();
    let bare = client.create_explanation(with_id(&hyphenated.replace('-', ""), 64)).await.unwrap().into_inner();
    assert_eq!(first.name, bare.name);
    Failure::of(client.create_explanation(with_id(hyphenated, 65)).await).expect_fields(&["request_id"]);
}
