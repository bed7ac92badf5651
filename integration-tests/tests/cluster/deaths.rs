//! What whoever watches an explanation through nginx sees of a death behind it.

use std::time::Duration;

use integration_tests::{
    api::fitted,
    users::HANG_LIMIT,
    whole::{ORCHESTRATOR, Whole},
};
use proto::raw::deeper::explanation::v1::{self as raw, State};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status, Streaming};

use super::{NEIGHBOR_COUNT, PATIENCE, TURN, all_teachers, explain, watch};

/// A connection to a program that was killed breaks at once.
const BREAK_LIMIT: Duration = Duration::from_millis(500);
/// How long nobody may answer.
const GAP_LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_teachers_are_not_noticed() {
    let _turn = TURN.lock().await;
    let Some(whole) = Whole::start(None).await else { return };
    let mut watching = held_in_the_middle(&whole).await;
    // Two of three: what is asked of them is asked again of the third.
    whole.cluster.kill("teacher", 0);
    whole.cluster.kill("teacher", 1);
    whole.cluster.member("teacher", 2).signal("CONT");
    finished(&end(&mut watching).await.expect("the watch goes on"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_watches_again_finds_the_explanation_of_a_killed_orchestrator() {
    let _turn = TURN.lock().await;
    let Some(mut whole) = Whole::start(None).await else { return };
    let mut watching = held_in_the_middle(&whole).await;
    // One of the two has the watch. If it is not the first one, the second one dies when the first is just back.
    whole.cluster.kill(ORCHESTRATOR, 0);
    let mut broken = timeout(BREAK_LIMIT, end(&mut watching)).await;
    if broken.is_err() {
        whole.cluster.restart(ORCHESTRATOR, 0).await;
        whole.cluster.kill(ORCHESTRATOR, 1);
        broken = timeout(PATIENCE, end(&mut watching)).await;
    }
    told(&broken.expect("the watch breaks with its orchestrator").expect_err("nobody is there to go on with it"));
    all_teachers(&whole, "CONT");
    let began = Instant::now();
    let mut watching = loop {
        match whole.api.explanations.clone().watch_explanation(watch("x")).await {
            Ok(watching) => break watching.into_inner(),
            Err(status) => told(&status),
        }
        assert!(began.elapsed() < GAP_LIMIT, "nobody answers");
        sleep(Duration::from_millis(50)).await;
    };
    finished(&end(&mut watching).await.expect("one orchestrator is there"));
}

/// A watch, through nginx, of an explanation that waits for stopped teachers.
async fn held_in_the_middle(whole: &Whole) -> Streaming<raw::Explanation> {
    all_teachers(whole, "STOP");
    let mut client = whole.api.explanations.clone();
    client.create_explanation(explain("x")).await.unwrap();
    let mut watching = client.watch_explanation(watch("x")).await.unwrap().into_inner();
    let first = timeout(PATIENCE, watching.message()).await.expect("it comes").unwrap().unwrap();
    assert_eq!(first.labeled_neighbor_count, 0);
    watching
}

/// The end of an explanation, or how the watch broke.
async fn end(watching: &mut Streaming<raw::Explanation>) -> Result<raw::Explanation, Status> {
    let read = async {
        let mut last = None;
        while let Some(snapshot) = watching.message().await? {
            last = Some(snapshot);
        }
        last.ok_or_else(|| Status::unavailable("cut"))
    };
    timeout(HANG_LIMIT, read).await.expect("a watch does not hang")
}

/// nginx has one word for a watch that it cannot go on with, and another for a call that it cannot begin.
fn told(status: &Status) {
    assert!(matches!(status.code(), Code::Unavailable | Code::Internal), "{status:?}");
}

fn finished(explanation: &raw::Explanation) {
    assert_eq!(explanation.state(), State::Succeeded, "{:?}", explanation.error);
    assert_eq!(fitted(explanation).neighbor_count, NEIGHBOR_COUNT);
}
