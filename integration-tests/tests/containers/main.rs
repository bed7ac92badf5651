//! The real images, played by podman from the rendered `local` overlay with Redis beside them: the page answers, an
//! explanation is made, and a container whose process was killed is back by itself.
//!
//! Only `cargo xtask test --containers` runs this: it needs the images, podman and the right to start containers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

mod podman;

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use integration_tests::{
    Api,
    api::{explain_example, fitted},
    small::{AUTOENCODER, TEACHER, mnist_folder, trained_data},
    web,
};
use podman::Played;
use proto::raw::deeper::{
    catalog::v1 as catalog,
    explanation::v1::{self as raw, State},
    types::v1 as types,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// Containers of a debug build on a busy machine.
const COMES_UP_WITHIN: Duration = Duration::from_secs(120);
const COMES_BACK_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

async fn until<F: Future<Output = bool>>(limit: Duration, what: &str, mut holds: impl FnMut() -> F) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    assert!(tokio::time::timeout(limit, looking).await.is_ok(), "{what} did not come true within {limit:?}");
}

fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

fn explain(id: &str, example: &str) -> raw::CreateExplanationRequest {
    raw::CreateExplanationRequest {
        teacher: TEACHER.into(),
        autoencoder: AUTOENCODER.into(),
        neighborhood: Some(types::NeighborhoodSpec { neighbor_count: Some(300), ..Default::default() }),
        ..explain_example(id, example)
    }
}

async fn answers(address: SocketAddr, path: &str) -> Option<web::HttpAnswer> {
    web::http(address, &format!("GET {path} HTTP/1.1\r\n"), &[]).await.ok()
}

/// What Redis holds, asked in its own protocol.
async fn key_count(redis: SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(redis).await.unwrap();
    stream.write_all(b"DBSIZE\r\n").await.unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.unwrap();
    answer.trim().strip_prefix(':').unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_overlay_explains_and_outlives_a_killed_process() {
    let Some(manifests) = std::env::var_os("DEEPER_TEST_CONTAINERS").map(PathBuf::from) else {
        eprintln!("skipped: `cargo xtask test --containers` builds the images and runs this");
        return;
    };
    let Some(mnist) = mnist_folder() else { return };
    let data = trained_data(&mnist).await;
    let played = Played::prepare(
        &manifests.join("local.yaml"),
        &data.path().join("artifacts"),
        [free_address(), free_address()],
    );
    for app in ["redis", "student", "vae", "teacher", "orchestrator"] {
        played.play(app);
    }
    let address = played.address;
    let alive = async || answers(address, "/livez").await.is_some_and(|answer| answer.status == 200);
    until(COMES_UP_WITHIN, "the orchestrator", alive).await;

    // The page is in the image.
    let page = answers(address, "/").await.unwrap();
    assert_eq!(page.status, 200);
    assert!(String::from_utf8(page.body).unwrap().contains("<title>"));

    // An error that is listed is explained, over four containers and Redis.
    let api = Api::over(runtime::channel::connect("orchestrator", &format!("http://{address}")).unwrap());
    let request = catalog::ListExamplesRequest {
        parent: "datasets/mnist".into(),
        split: "train".into(),
        teacher: TEACHER.into(),
        errors_only: true,
        page_size: 2,
        ..Default::default()
    };
    let listed = api.catalog.clone().list_examples(request).await.unwrap().into_inner().examples;
    let explanation = api.explain(explain("contained", &listed[0].name)).await.unwrap();
    assert_eq!(explanation.state(), State::Succeeded, "{:?}", explanation.error);
    assert_eq!(explanation.soft_labels, listed[0].soft_labels);
    assert_eq!(fitted(&explanation).weight_maps.len(), 10);

    assert!(key_count(played.cache).await > 0, "nothing of the explanation is in Redis");

    // The limits of the manifests hold.
    for (app, memory) in [("orchestrator", 1_u64 << 30), ("student", 512 << 20)] {
        assert_eq!(played.inspect(app, "{{.HostConfig.Memory}}"), memory.to_string());
        assert_eq!(played.inspect(app, "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}}"), "true 65532:65532");
    }

    // A killed process is back by itself, and does its work.
    let first = played.inspect("teacher", "{{.State.Pid}}");
    assert!(Command::new("kill").args(["-KILL", &first]).status().unwrap().success());
    let back = async || {
        let state = played.inspect("teacher", "{{.State.Running}} {{.State.Pid}}");
        state.starts_with("true ") && !state.ends_with(&format!(" {first}"))
    };
    until(COMES_BACK_WITHIN, "the teacher's container", back).await;
    let mut attempt = 0;
    let explains = || {
        attempt += 1;
        let request = explain(&format!("again-{attempt}"), &listed[1].name);
        let api = api.clone();
        async move { api.explain(request).await.is_ok_and(|it| it.state() == State::Succeeded) }
    };
    until(COMES_BACK_WITHIN, "an explanation by the teacher that came back", explains).await;
}
