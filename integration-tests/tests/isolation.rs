//! Two users who do the same at the same time, one known by a gateway and one by a key: nothing of one touches
//! the other, and what is somebody's stays theirs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use integration_tests::{
    Api, Failure, Sandbox,
    api::{explain_image, fitted, neighbors},
    known::random_image,
    sandbox::teacher_recipe,
    world::{DATASET, TEACHER},
};
use orchestrator::caller::{Callers, Keys, Limits};
use proto::raw::{
    deeper::{
        catalog::v1::{self as catalog, watch_activity_response::Update},
        explanation::v1::{self as raw, State},
        types::v1 as types,
    },
    google::longrunning::{CancelOperationRequest, operation},
};
use tonic::{Code, Request};

/// SHA-256 of `ben's key` and `key of ops`, as sha256sum prints them.
const KEYS: &str = "\
ben user 582d3b0370cada26b8d9d763ccfd6575ffac92451c9820f97b930c7d943aeb00
ops admin f9c37c562f7392346cce6e328544c6e6915617628b467e18232515639cc1522c
";
/// A user, how the system knows them, and a number that makes what they bring their own.
type User = (&'static str, (&'static str, &'static str), u64);
const ANA: User = ("ana", ("x-deeper-user", "ana"), 1);
const BEN: User = ("ben", ("authorization", "Bearer ben's key"), 2);
const OPS: User = ("ops", ("authorization", "Bearer key of ops"), 3);
/// Both make their requests under it.
const REQUEST_ID: &str = "2f6f0d5e-8c0c-4a6b-9a9e-0e6a3f5d7c11";

async fn shared(sandbox: &Sandbox) -> Api {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEYS).unwrap();
    let keys = Some(Keys::read(file.path()).unwrap());
    let gateways = vec!["127.0.0.0/8".parse().unwrap()];
    sandbox.shared_by(Callers { gateways, keys, limits: Limits::default() }).await
}

fn by<T>((_, (header, value), _): User, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(header, value.parse().unwrap());
    request
}

async fn watched(api: &Api, user: User, name: &str) -> raw::Explanation {
    let request = raw::WatchExplanationRequest { name: name.to_owned() };
    let mut watching = api.explanations.clone().watch_explanation(by(user, request)).await.unwrap().into_inner();
    let mut last = None;
    while let Some(snapshot) = watching.message().await.unwrap() {
        last = Some(snapshot);
    }
    last.unwrap()
}

/// What one user came to.
struct Deeds {
    explanation: raw::Explanation,
    student: raw::Student,
    teacher: catalog::Teacher,
    selected: Vec<catalog::Example>,
}

/// An upload, its explanation, another student of it, a training and a walk through a selection.
async fn work(api: &Api, user: User) -> Deeds {
    let (name, _, number) = user;
    let mut client = api.explanations.clone();
    let request = raw::CreateExplanationRequest {
        request_id: REQUEST_ID.into(),
        neighborhood: neighbors(64),
        ..explain_image(&format!("of-{name}"), &random_image(number))
    };
    client.create_explanation(by(user, request)).await.unwrap();
    let explanation = watched(api, user, &format!("explanations/of-{name}")).await;

    let spec = types::StudentSpec { temperature: Some(1.0 + number as f64), ..Default::default() };
    let request =
        raw::CreateStudentRequest { parent: explanation.name.clone(), student_id: "mine".into(), spec: Some(spec) };
    let mut answers = client.create_student(by(user, request)).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    let request = raw::GetStudentRequest { name: format!("{}/students/mine", explanation.name) };
    let student = client.get_student(by(user, request)).await.unwrap().into_inner();

    let mut client = api.catalog.clone();
    let request = catalog::CreateTeacherRequest {
        teacher_id: format!("of-{name}"),
        recipe: Some(teacher_recipe(number)),
        ..Default::default()
    };
    let operation = client.create_teacher(by(user, request)).await.unwrap().into_inner();
    let ended = api.finished(operation).await.unwrap();
    assert!(matches!(ended.result, Some(operation::Result::Response(_))), "{ended:?}");
    let request = catalog::GetTeacherRequest { name: format!("teachers/of-{name}") };
    let teacher = client.get_teacher(by(user, request)).await.unwrap().into_inner();

    let mut selected = Vec::new();
    let mut request = selection(number as u32 - 1);
    loop {
        let page = client.list_examples(by(user, request.clone())).await.unwrap().into_inner();
        selected.extend(page.examples);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    Deeds { explanation, student, teacher, selected }
}

fn selection(gold_label: u32) -> catalog::ListExamplesRequest {
    catalog::ListExamplesRequest {
        parent: DATASET.into(),
        split: "train".into(),
        teacher: TEACHER.into(),
        gold_label: Some(gold_label),
        order: catalog::ExampleOrder::Confidence.into(),
        page_size: 3,
        ..Default::default()
    }
}

#[tokio::test]
async fn two_users_who_do_the_same_at_the_same_time_do_not_touch_each_other() {
    let sandbox = Sandbox::linear().await;
    let api = shared(&sandbox).await;
    let (ana, ben) = tokio::join!(work(&api, ANA), work(&api, BEN));
    for ((name, _, number), deeds) in [(ANA, &ana), (BEN, &ben)] {
        assert_eq!((deeds.explanation.state(), deeds.explanation.creator.as_str()), (State::Succeeded, name));
        assert_eq!(deeds.explanation.image, Some((&random_image(number)).into()), "{name}'s upload");
        assert_eq!((deeds.student.creator.as_str(), deeds.teacher.creator.as_str()), (name, name));
        let spec = deeds.student.fitted.as_ref().unwrap().spec.as_ref().unwrap();
        assert_eq!(spec.temperature, Some(1.0 + number as f64));
        assert_eq!(deeds.teacher.recipe.as_ref().unwrap().seed, Some(number));
        assert!(deeds.selected.len() > 3, "more than one page");
        assert!(deeds.selected.iter().all(|example| u64::from(example.gold_label) == number - 1), "{name}'s selection");
    }
    // Alone it would have been the same.
    let request =
        raw::CreateExplanationRequest { neighborhood: neighbors(64), ..explain_image("alone", &random_image(1)) };
    let alone = Sandbox::linear().await.api.explain(request).await.unwrap();
    assert_eq!(fitted(&alone), fitted(&ana.explanation));

    // A page of a selection is a page of that one.
    let mut client = api.catalog.clone();
    let page = client.list_examples(by(ANA, selection(0))).await.unwrap().into_inner();
    let foreign = catalog::ListExamplesRequest { page_token: page.next_page_token, ..selection(1) };
    Failure::of(client.list_examples(by(BEN, foreign)).await).expect(Code::InvalidArgument, "INVALID_FIELDS");

    // Ones own first, for each.
    for (user, first) in [(ANA, "of-ana"), (BEN, "of-ben")] {
        let request = raw::ListExplanationsRequest::default();
        let listed = api.explanations.clone().list_explanations(by(user, request)).await.unwrap().into_inner();
        assert_eq!(listed.explanations.len(), 2);
        assert_eq!(listed.explanations[0].name, format!("explanations/{first}"));
        let request = catalog::ListTeachersRequest::default();
        let listed = client.list_teachers(by(user, request)).await.unwrap().into_inner();
        assert_eq!(listed.teachers[0].name, format!("teachers/{first}"));
    }
}

#[tokio::test]
async fn of_two_users_who_choose_one_name_one_gets_it_and_the_others_request_is_still_free() {
    let sandbox = Sandbox::linear().await;
    let api = shared(&sandbox).await;
    let request = |user: User| raw::CreateExplanationRequest {
        request_id: REQUEST_ID.into(),
        neighborhood: neighbors(32),
        ..explain_image("same", &random_image(user.2))
    };
    let (mut first, mut second) = (api.explanations.clone(), api.explanations.clone());
    let answers = tokio::join!(
        first.create_explanation(by(ANA, request(ANA))),
        second.create_explanation(by(BEN, request(BEN))),
    );
    let ((winner, loser), refused) = match answers {
        (Ok(_), refused) => ((ANA, BEN), refused),
        (refused, Ok(_)) => ((BEN, ANA), refused),
        _ => panic!("neither got it"),
    };
    Failure::of(refused).expect(Code::AlreadyExists, "EXPLANATION_EXISTS");
    let made = watched(&api, loser, "explanations/same").await;
    assert_eq!((made.creator.as_str(), made.image), (winner.0, Some((&random_image(winner.2)).into())));
    let again = raw::CreateExplanationRequest { explanation_id: "another".into(), ..request(loser) };
    first.create_explanation(by(loser, again)).await.unwrap();
    assert_eq!(watched(&api, winner, "explanations/another").await.creator, loser.0);
}

#[tokio::test]
async fn a_repeated_request_never_finds_what_another_made_under_its_name_since() {
    let sandbox = Sandbox::linear().await;
    let api = shared(&sandbox).await;
    let mut client = api.explanations.clone();
    // With a name of the caller's choice, and with the request's.
    for (id, name) in [("x", "explanations/x".to_owned()), ("", format!("explanations/{REQUEST_ID}"))] {
        let request = |user: User| raw::CreateExplanationRequest {
            explanation_id: id.into(),
            request_id: REQUEST_ID.into(),
            neighborhood: neighbors(32),
            ..explain_image("", &random_image(user.2))
        };
        client.create_explanation(by(ANA, request(ANA))).await.unwrap();
        assert_eq!(watched(&api, ANA, &name).await.creator, "ana");
        let delete = || raw::DeleteExplanationRequest { name: name.clone() };
        client.delete_explanation(by(ANA, delete())).await.unwrap();
        client.create_explanation(by(BEN, request(BEN))).await.unwrap();
        let refused = client.create_explanation(by(ANA, request(ANA))).await;
        Failure::of(refused).expect(Code::AlreadyExists, "EXPLANATION_EXISTS");
        // Whose it is finds it.
        let again = client.create_explanation(by(BEN, request(BEN))).await.unwrap().into_inner();
        assert_eq!(watched(&api, BEN, &name).await.operation, again.name);
        client.delete_explanation(by(BEN, delete())).await.unwrap();
    }
}

#[tokio::test]
async fn only_its_creator_and_an_admin_end_and_delete_an_explanation() {
    let sandbox = Sandbox::linear().await;
    let api = shared(&sandbox).await;
    let mut client = api.explanations.clone();
    for (id, user) in [("a", ANA), ("b", OPS)] {
        sandbox.world.brake.hold_after(0);
        let request =
            raw::CreateExplanationRequest { neighborhood: neighbors(32), ..explain_image(id, &random_image(user.2)) };
        let operation = client.create_explanation(by(ANA, request)).await.unwrap().into_inner().name;
        sandbox.world.brake.held().await;
        let cancel = || CancelOperationRequest { name: operation.clone() };
        let delete = || raw::DeleteExplanationRequest { name: format!("explanations/{id}") };
        let mut operations = api.operations.clone();
        for (refused, resource) in [
            (operations.cancel_operation(by(BEN, cancel())).await, format!("explanations/{id}")),
            (operations.cancel_operation(cancel()).await, format!("explanations/{id}")),
            (client.delete_explanation(by(BEN, delete())).await, format!("explanations/{id}")),
            (client.delete_explanation(delete()).await, format!("explanations/{id}")),
        ] {
            let failure = Failure::of(refused);
            failure.expect(Code::PermissionDenied, "NOT_THE_CREATOR");
            assert_eq!(failure.details.resource_info().unwrap().resource_name, resource);
        }
        operations.cancel_operation(by(user, cancel())).await.unwrap();
        assert_eq!(watched(&api, BEN, &format!("explanations/{id}")).await.state(), State::Cancelled);
        client.delete_explanation(by(user, delete())).await.unwrap();
        sandbox.world.brake.release();
    }
}

#[tokio::test]
async fn a_watcher_is_told_who_it_is_and_whose_it_may_change() {
    let sandbox = Sandbox::linear().await;
    let api = shared(&sandbox).await;
    let nobody = || Request::new(catalog::WatchActivityRequest {});
    let cases = [
        (&api, by(ANA, catalog::WatchActivityRequest {}), ("ana", false)),
        (&api, by(OPS, catalog::WatchActivityRequest {}), ("ops", true)),
        (&api, nobody(), ("anonymous", false)),
        // Where nobody is told apart, everything is everybody's.
        (&sandbox.api, nobody(), ("anonymous", true)),
    ];
    for (api, request, (name, may_change_all)) in cases {
        let mut updates = api.catalog.clone().watch_activity(request).await.unwrap().into_inner();
        let first = updates.message().await.unwrap().unwrap().update;
        let Some(Update::Snapshot(snapshot)) = first else { panic!("{first:?} is no snapshot") };
        assert_eq!(snapshot.caller, Some(catalog::Caller { name: name.to_owned(), may_change_all }));
    }
    // A name that nobody of trust vouches for, and a key that nobody has.
    let claimed = by(ANA, catalog::WatchActivityRequest {});
    let refused = sandbox.api.catalog.clone().watch_activity(claimed).await;
    Failure::of(refused).expect(Code::PermissionDenied, "GATEWAY_NOT_TRUSTED");
    let unknown = by(("eve", ("authorization", "Bearer eve's key"), 9), catalog::WatchActivityRequest {});
    Failure::of(api.catalog.clone().watch_activity(unknown).await).expect(Code::Unauthenticated, "API_KEY_UNKNOWN");
}
