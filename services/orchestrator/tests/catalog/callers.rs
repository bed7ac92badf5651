//! Users who are told apart: by keys here, over a pipe, which is no trusted gateway's address.

use orchestrator::caller::{Callers, Keys, Limits};
use proto::raw::{
    deeper::catalog::v1::{self as raw, watch_activity_response::Update},
    google::longrunning::{CancelOperationRequest, DeleteOperationRequest, ListOperationsRequest},
};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::{
    reason,
    world::{World, import, new_teacher},
};

/// SHA-256 of `ana's key`, `ben's key` and `key of ops`, as sha256sum prints them.
const KEYS: &str = "\
ana user 90ee7500155c2952ee04fa59ab79f7ff2ed3ef9130aa111028e293a880ec57cf
ben user 582d3b0370cada26b8d9d763ccfd6575ffac92451c9820f97b930c7d943aeb00
ops admin f9c37c562f7392346cce6e328544c6e6915617628b467e18232515639cc1522c
";
const ANA: &str = "Bearer ana's key";
const BEN: &str = "Bearer ben's key";
const OPS: &str = "Bearer key of ops";

async fn world() -> World {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEYS).unwrap();
    let keys = Some(Keys::read(file.path()).unwrap());
    let artifacts = artifacts::Artifacts::in_memory();
    import(&artifacts).await;
    let limits = Limits { explanations: 2, trainings: 2 };
    World::with(artifacts, Callers { gateways: Vec::new(), keys, limits })
}

fn by<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", key.parse().unwrap());
    request
}

#[tokio::test]
async fn makers_are_recorded_and_ones_own_are_listed_first() {
    let world = world().await;
    let mut catalog = world.catalog.clone();
    for (key, id) in [(BEN, "a"), (ANA, "b"), (BEN, "c"), (ANA, "d")] {
        catalog.create_teacher(by(key, new_teacher(id))).await.unwrap();
    }
    catalog.create_teacher(new_teacher("e")).await.unwrap();
    let mut request = raw::ListTeachersRequest { page_size: 2, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = catalog.list_teachers(by(ANA, request.clone())).await.unwrap().into_inner();
        seen.extend(page.teachers.into_iter().map(|it| (it.name, it.creator)));
        if page.next_page_token.is_empty() {
            break;
        }
        // Ben's list is another one.
        let next = raw::ListTeachersRequest { page_token: page.next_page_token, ..request.clone() };
        assert_eq!(catalog.list_teachers(by(BEN, next.clone())).await.unwrap_err().code(), Code::InvalidArgument);
        request = next;
    }
    let expected = [("b", "ana"), ("d", "ana"), ("a", "ben"), ("c", "ben"), ("e", "anonymous")];
    assert_eq!(seen, expected.map(|(id, creator)| (format!("teachers/{id}"), creator.to_owned())));

    let listed = world.operations.clone().list_operations(by(BEN, ListOperationsRequest::default())).await.unwrap();
    let creators: Vec<String> = listed
        .into_inner()
        .operations
        .into_iter()
        .map(|operation| {
            let metadata = operation.metadata.unwrap().value;
            <raw::TrainingMetadata as prost::Message>::decode(metadata.as_slice()).unwrap().creator
        })
        .collect();
    assert_eq!(creators, ["ben", "ben", "anonymous", "ana", "ana"]);

    let mut updates = catalog.watch_activity(raw::WatchActivityRequest {}).await.unwrap().into_inner();
    let Some(Update::Snapshot(snapshot)) = updates.message().await.unwrap().unwrap().update else { panic!() };
    assert_eq!(snapshot.teachers[1].creator, "ana");
    let told = snapshot.operations.iter().find(|operation| operation.target == "teachers/a").unwrap();
    assert_eq!(told.creator, "ben");
}

#[tokio::test]
async fn only_the_creator_and_admins_cancel_and_delete() {
    let world = world().await;
    let (mut catalog, mut operations) = (world.catalog.clone(), world.operations.clone());
    let mut names = Vec::new();
    for id in ["a", "b"] {
        names.push(catalog.create_teacher(by(ANA, new_teacher(id))).await.unwrap().into_inner().name);
    }
    for (name, end) in names.iter().zip([ANA, OPS]) {
        let cancel = || CancelOperationRequest { name: name.clone() };
        for refused in [
            operations.cancel_operation(by(BEN, cancel())).await.unwrap_err(),
            operations.cancel_operation(cancel()).await.unwrap_err(),
        ] {
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "NOT_THE_CREATOR"));
            assert_eq!(refused.get_details_resource_info().unwrap().resource_name, *name);
        }
        operations.cancel_operation(by(end, cancel())).await.unwrap();
        world.ended(name).await;
        let delete = || DeleteOperationRequest { name: name.clone() };
        let refused = operations.delete_operation(by(BEN, delete())).await.unwrap_err();
        assert_eq!(reason(&refused), "NOT_THE_CREATOR");
        operations.delete_operation(by(end, delete())).await.unwrap();
    }
    for (id, end) in [("a", ANA), ("b", OPS)] {
        let delete = || raw::DeleteTeacherRequest { name: format!("teachers/{id}") };
        let refused = catalog.delete_teacher(by(BEN, delete())).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "NOT_THE_CREATOR"));
        catalog.delete_teacher(by(end, delete())).await.unwrap();
    }
}

#[tokio::test]
async fn one_more_training_than_a_creator_may_have_is_refused_until_one_has_ended() {
    let world = world().await;
    let mut catalog = world.catalog.clone();
    let first = catalog.create_teacher(by(ANA, new_teacher("a"))).await.unwrap().into_inner().name;
    catalog.create_teacher(by(ANA, new_teacher("b"))).await.unwrap();
    let refused = catalog.create_teacher(by(ANA, new_teacher("c"))).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    let details = refused.get_error_details();
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "users/ana");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    // Others have their own share, and admins no limit.
    catalog.create_teacher(by(BEN, new_teacher("d"))).await.unwrap();
    for id in ["e", "f", "g"] {
        catalog.create_teacher(by(OPS, new_teacher(id))).await.unwrap();
    }
    let cancel = CancelOperationRequest { name: first.clone() };
    world.operations.clone().cancel_operation(by(ANA, cancel)).await.unwrap();
    world.ended(&first).await;
    catalog.create_teacher(by(ANA, new_teacher("c"))).await.unwrap();
}

#[tokio::test]
async fn wrong_keys_and_words_of_strangers_are_refused() {
    let world = world().await;
    let mut catalog = world.catalog.clone();
    let refused = catalog.list_datasets(by("Bearer no key", raw::ListDatasetsRequest::default())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "API_KEY_UNKNOWN"));
    let mut request = Request::new(raw::ListDatasetsRequest::default());
    request.metadata_mut().insert("x-deeper-user", "ana".parse().unwrap());
    let refused = catalog.list_datasets(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "GATEWAY_NOT_TRUSTED"));
    // What engines share out by is not for strangers to say.
    let mut request = Request::new(new_teacher("t"));
    request.metadata_mut().insert("x-deeper-caller", "ana".parse().unwrap());
    catalog.create_teacher(request).await.unwrap();
    let name = "teachers/t".to_owned();
    let made = catalog.get_teacher(raw::GetTeacherRequest { name }).await.unwrap().into_inner();
    assert_eq!(made.creator, "anonymous");
}
