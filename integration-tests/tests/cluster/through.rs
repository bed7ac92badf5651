//! Page, grpc-web and gRPC as they come through nginx.

use std::fs;

use integration_tests::{
    api::fitted,
    failure::Failure,
    small::{TEACHER, page_folder},
    web::{WebAnswer, WebStream, call, http},
    whole::Whole,
};
use proto::raw::{
    deeper::{
        catalog::v1 as catalog,
        explanation::v1::{self as raw, State},
        types::v1 as types,
    },
    google::longrunning::Operation,
};
use tokio::time::timeout;
use tonic::Code;

use super::{CATALOG, EXPLANATIONS, NEIGHBOR_COUNT, PATIENCE, TURN, all_teachers, explain, watch};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_and_both_kinds_of_grpc_come_through_nginx() {
    let _turn = TURN.lock().await;
    let Some(page) = page_folder() else { return };
    let Some(whole) = Whole::start(Some(&page)).await else { return };
    files_arrive_whole(&whole, &page).await;
    strangers_stay_out(&whole).await;
    kept_connections_are_not_mixed_up(&whole).await;
    large_failures_come_whole(&whole).await;
    each_message_of_a_watch_comes_at_once(&whole).await;
}

async fn files_arrive_whole(whole: &Whole, page: &std::path::Path) {
    let index = http(whole.nginx.page, "GET / HTTP/1.1\r\n", &[]).await.unwrap();
    assert_eq!((index.status, &*index.body), (200, &*fs::read(page.join("index.html")).unwrap()));
    assert!(index.header("content-security-policy").is_some());
    let wasm = fs::read_dir(page).unwrap().map(|entry| entry.unwrap().path());
    let wasm = wasm.filter(|path| path.extension().is_some_and(|it| it == "wasm")).collect::<Vec<_>>();
    assert!(!wasm.is_empty(), "the page has no wasm");
    for file in wasm {
        let name = file.file_name().unwrap().to_string_lossy();
        let answer = http(whole.nginx.page, &format!("GET /{name} HTTP/1.1\r\n"), &[]).await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/wasm")));
        assert!(answer.body == fs::read(&file).unwrap(), "{name} came with {} bytes", answer.body.len());
    }
}

/// nginx tells orchestrators whom a request was addressed to: a stranger's page cannot reach them (DNS rebinding).
async fn strangers_stay_out(whole: &Whole) {
    let head = "GET / HTTP/1.1\r\nhost: stranger.example\r\n";
    assert_eq!(http(whole.nginx.page, head, &[]).await.unwrap().status, 403);
}

/// nginx keeps connections to orchestrators; those of browsers speak HTTP/1, those of programs HTTP/2.
async fn kept_connections_are_not_mixed_up(whole: &Whole) {
    let request = catalog::GetTeacherRequest { name: TEACHER.into() };
    for _ in 0..20 {
        let path = format!("{CATALOG}/GetTeacher");
        let answer: WebAnswer<catalog::Teacher> = call(whole.nginx.page, &path, &request).await.unwrap();
        assert_eq!(answer.trailer("grpc-status"), Some("0"), "{:?}", answer.trailers);
        assert_eq!(answer.messages[0].name, TEACHER);
        let teacher = whole.api.catalog.clone().get_teacher(request.clone()).await.unwrap().into_inner();
        assert_eq!(teacher, answer.messages[0]);
    }
}

/// A failure is all in its head, of which nginx takes 4 KiB unless told otherwise.
async fn large_failures_come_whole(whole: &Whole) {
    let mut request = explain("wrong");
    let wrong = types::LatentRange { dimension: 0, low: 1.0, high: -1.0 };
    request.neighborhood.as_mut().unwrap().ranges = vec![wrong; 64];
    let status = whole.api.explanations.clone().create_explanation(request.clone()).await.unwrap_err();
    // In base64 there is a third more of them.
    assert!(status.details().len() > 3 * 1_024, "{} bytes prove nothing", status.details().len());
    Failure::from(status).expect(Code::InvalidArgument, "INVALID_FIELDS");
    let path = format!("{EXPLANATIONS}/CreateExplanation");
    let answer: WebAnswer<Operation> = call(whole.nginx.page, &path, &request).await.unwrap();
    let code = (Code::InvalidArgument as i32).to_string();
    assert_eq!(answer.trailer("grpc-status"), Some(&*code), "{:?}", answer.trailers);
}

/// The first message of a watch is there while nothing can be computed, and so not at the end with all others.
async fn each_message_of_a_watch_comes_at_once(whole: &Whole) {
    let path = format!("{EXPLANATIONS}/CreateExplanation");
    all_teachers(whole, "STOP");
    let created: WebAnswer<Operation> = call(whole.nginx.page, &path, &explain("web")).await.unwrap();
    assert_eq!(created.messages.len(), 1, "{:?}", created.trailers);
    let path = format!("{EXPLANATIONS}/WatchExplanation");
    let mut watching = WebStream::open(whole.nginx.page, &path, &watch("web")).await.unwrap();
    let first: raw::Explanation = timeout(PATIENCE, watching.next()).await.expect("it comes").unwrap().unwrap();
    all_teachers(whole, "CONT");
    let mut last = None;
    while let Some(snapshot) = watching.next().await.unwrap() {
        last = Some(snapshot);
    }
    check(&first, &last.unwrap());

    // With another seed, so that nothing is known yet.
    all_teachers(whole, "STOP");
    let mut request = explain("native");
    request.neighborhood.as_mut().unwrap().seed = Some(8);
    let mut client = whole.api.explanations.clone();
    client.create_explanation(request).await.unwrap();
    let mut watching = client.watch_explanation(watch("native")).await.unwrap().into_inner();
    let first = timeout(PATIENCE, watching.message()).await.expect("it comes").unwrap().unwrap();
    all_teachers(whole, "CONT");
    let mut last = None;
    while let Some(snapshot) = watching.message().await.unwrap() {
        last = Some(snapshot);
    }
    check(&first, &last.unwrap());
}

fn check(first: &raw::Explanation, last: &raw::Explanation) {
    assert_eq!((first.labeled_neighbor_count, first.student.is_some()), (0, false));
    assert_eq!(last.state(), State::Succeeded, "{:?}", last.error);
    assert_eq!(fitted(last).neighbor_count, NEIGHBOR_COUNT);
}
