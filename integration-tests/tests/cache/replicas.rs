//! Several orchestrators before one Redis: what is asked of all is computed by one, and what one does not
//! finish another one does.

use std::{sync::mpsc, thread};

use integration_tests::{
    Api, Sandbox,
    api::{explain_image, fitted, own_image},
    known::random_image,
    redis::Redis,
    world::{IDENTITY, TEACHER},
};
use proto::raw::deeper::explanation::v1::{self as raw, State};
use tokio::runtime;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_identical_requests_at_three_replicas_are_computed_once() {
    let sandbox = Sandbox::linear().await;
    let redis = Redis::start().await;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(sandbox.replica(patient(redis.url()).await).await);
    }
    let before = sandbox.world.brake.work();
    let asked = (0..300).map(|i| {
        let api: &Api = &replicas[i % 3];
        let request = raw::EncodeInstanceRequest {
            teacher: TEACHER.into(),
            autoencoder: IDENTITY.into(),
            instance: Some(own_image(&random_image(1))),
        };
        let mut client = api.explanations.clone();
        async move { client.encode_instance(request).await.unwrap().into_inner() }
    });
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    // The image and its reconstruction.
    assert_eq!(sandbox.world.brake.work().image_count - before.image_count, 2);

    let asked = (0..12).map(|i| {
        let api = &replicas[i % 3];
        async move { api.explain(explain_image(&format!("same-{i}"), &random_image(1))).await.unwrap() }
    });
    let explanations = futures::future::join_all(asked).await;
    assert!(explanations.iter().all(|it| it.state() == State::Succeeded && fitted(it) == fitted(&explanations[0])));
    assert_eq!(sandbox.world.brake.work().image_count - before.image_count, 2 + 1_000);
}

/// An orchestrator on threads of its own, which can end without a word.
struct Doomed {
    api: Api,
    runtime: runtime::Runtime,
}

impl Doomed {
    async fn start(sandbox: &Arc<Sandbox>, url: String) -> Self {
        let (sender, receiver) = mpsc::channel();
        let sandbox = Arc::clone(sandbox);
        let started = thread::spawn(move || {
            let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let api = runtime.block_on(async { sandbox.replica(patient(url).await).await });
            sender.send((api, runtime)).unwrap();
        });
        let (api, runtime) = tokio::task::spawn_blocking(move || receiver.recv().unwrap()).await.unwrap();
        started.join().unwrap();
        Self { api, runtime }
    }

    /// As SIGKILL: nothing it does goes on, nothing is said.
    fn die(self) {
        self.runtime.shutdown_background();
    }
}

/// The first state of a watched explanation that is as wanted.
async fn seen(
    watch: &mut tonic::Streaming<raw::Explanation>,
    wanted: impl Fn(&raw::Explanation) -> bool,
) -> raw::Explanation {
    let watched = async {
        loop {
            let explanation = watch.message().await.unwrap().expect("it goes on");
            if wanted(&explanation) {
                return explanation;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), watched).await.expect("it is seen in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_explanation_goes_on_at_another_replica_when_its_own_dies() {
    let sandbox = Arc::new(Sandbox::linear().await);
    let redis = Redis::start().await;
    let first = Doomed::start(&sandbox, redis.url()).await;
    let second = sandbox.replica(patient(redis.url()).await).await;
    let brake = sandbox.world.brake.clone();
    let before = brake.work();

    // One batch for the instance, at least one for the first 64 neighbors.
    brake.hold_after(4);
    first.api.explanations.clone().create_explanation(explain_image("x", &random_image(1))).await.unwrap();
    brake.held().await;
    let request = raw::WatchExplanationRequest { name: "explanations/x".into() };
    let mut watch = second.explanations.clone().watch_explanation(request).await.unwrap().into_inner();
    // It is the first one's work that the second one shows.
    let half = seen(&mut watch, |it| it.labeled_neighbor_count >= 64 && it.student.is_some()).await;
    assert_eq!(half.state(), State::Running);

    first.die();
    brake.release();
    let done = seen(&mut watch, |it| it.state() != State::Running && it.state() != State::Queued).await;
    assert_eq!((done.state(), done.labeled_neighbor_count), (State::Succeeded, 1_000));
    // What was seen is not labelled again: twice at most the two chunks that were under way.
    let labeled = brake.work().image_count - before.image_count;
    assert!((1_002..=1_002 + 250).contains(&labeled), "{labeled}");
    // As if nothing had happened.
    let alone = sandbox.api.explain(explain_image("alone", &random_image(1))).await.unwrap();
    assert_eq!(fitted(&done), fitted(&alone));
}
