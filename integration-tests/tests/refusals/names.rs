//! Names and pages, which all services have in common.

use integration_tests::Sandbox;
use proto::raw::{
    deeper::{catalog::v1 as catalog, explanation::v1 as raw},
    google::longrunning as lro,
};
use tonic::Code;

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
