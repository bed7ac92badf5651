//! A cluster of programs under load, of which parts are killed, stopped or replaced. Users see at most a moment
//! of it: no call hangs, every failure is typed, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

use std::time::{Duration, Instant};

use integration_tests::{
    cluster::Cluster,
    small::{TEACHER, mnist_folder},
    trust::{drawn, misclassified},
    users::{Deed, Doing, HANG_LIMIT, Users},
};
use proto::raw::{
    deeper::{catalog::v1 as catalog, types::v1 as types},
    google::longrunning::operation,
};

/// Users who explain and who ask.
const EXPLAINING: usize = 3;
const ASKING: usize = 2;
/// How long after the return of what was killed users may still notice.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);

/// One cluster at a time: they share two or four processors.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn busy(counts: [usize; 4]) -> Option<(Cluster, Users)> {
    let cluster = Cluster::start(&mnist_folder()?, counts).await;
    let request = catalog::GetTeacherRequest { name: TEACHER.into() };
    let teacher = cluster.api.catalog.clone().get_teacher(request).await.unwrap().into_inner();
    let examples = drawn(misclassified(&cluster.api, &teacher).await.unwrap(), 1, 50);
    let users = Users::start(&cluster.api, &examples, EXPLAINING, ASKING);
    users.explained(EXPLAINING).await;
    Some((cluster, users))
}

/// What must hold of every deed, whatever happened.
fn check(deeds: &[Deed]) {
    for deed in deeds {
        assert!(deed.ended - deed.began < HANG_LIMIT, "a call hung: {deed:?}");
        if let Some(failure) = &deed.failure {
            let info = failure.details.error_info();
            assert_eq!(info.map(|info| info.domain.as_str()), Some(proto::status::DOMAIN), "{deed:?}");
        }
    }
}

fn failures(deeds: &[Deed], doing: Doing, since: Instant) -> Vec<&Deed> {
    let failed = |deed: &&Deed| deed.doing == doing && deed.failure.is_some() && deed.began >= since;
    deeds.iter().filter(failed).collect()
}

fn tell(what: &str, deeds: &[Deed]) {
    let count = |doing| deeds.iter().filter(|deed| deed.doing == doing).count();
    let longest = deeds.iter().map(|deed| deed.ended - deed.began).max().unwrap_or_default();
    let failed = deeds.iter().filter(|deed| deed.failure.is_some()).count();
    eprintln!(
        "{what}: {} explanations, {} calls, {failed} failed, longest {longest:?}",
        count(Doing::Explaining),
        count(Doing::Asking),
    );
}

/// Of two replicas one is killed and comes back: users do not notice.
async fn one_of_two_is_killed(service: &'static str, counts: [usize; 4]) {
    let _turn = TURN.lock().await;
    let Some((mut cluster, users)) = busy(counts).await else { return };
    let began = Instant::now();
    cluster.kill(service, 0);
    users.explained(2 * EXPLAINING).await;
    cluster.restart(service, 0).await;
    users.explained(2 * EXPLAINING).await;
    let deeds = users.finish().await;
    tell(service, &deeds);
    check(&deeds);
    for doing in [Doing::Explaining, Doing::Asking] {
        let failed = failures(&deeds, doing, began - HANG_LIMIT);
        assert!(failed.is_empty(), "{failed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_teacher_is_replaced_by_another_in_the_middle_of_explanations() {
    one_of_two_is_killed("teacher", [2, 1, 1, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_vae_is_replaced_by_another_in_the_middle_of_explanations() {
    one_of_two_is_killed("vae", [1, 2, 1, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_student_is_replaced_by_another_in_the_middle_of_explanations() {
    one_of_two_is_killed("student", [1, 1, 2, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_of_a_killed_orchestrator_reconnect_to_another_and_finish() {
    one_of_two_is_killed("orchestrator", [1, 1, 1, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_teacher_is_missed_in_typed_failures_and_found_again_at_once() {
    let _turn = TURN.lock().await;
    let Some((mut cluster, users)) = busy([1, 1, 1, 1]).await else { return };
    cluster.kill("teacher", 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.restart("teacher", 0).await;
    let back = Instant::now();
    tokio::time::sleep(RECOVERY_LIMIT).await;
    users.explained(EXPLAINING).await;
    let deeds = users.finish().await;
    tell("the only teacher", &deeds);
    check(&deeds);
    for doing in [Doing::Explaining, Doing::Asking] {
        let failed = failures(&deeds, doing, back + RECOVERY_LIMIT);
        assert!(failed.is_empty(), "{failed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_everything_fails_no_call_and_loses_no_explanation() {
    let _turn = TURN.lock().await;
    let Some((mut cluster, users)) = busy([2, 2, 2, 2]).await else { return };
    for index in [0, 1] {
        cluster.roll(&["teacher", "vae", "student", "orchestrator"], index).await;
        users.explained(EXPLAINING).await;
    }
    let deeds = users.finish().await;
    tell("rolling restart", &deeds);
    check(&deeds);
    let failed: Vec<&Deed> = deeds.iter().filter(|deed| deed.failure.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_teacher_holds_nobody_for_long() {
    let _turn = TURN.lock().await;
    let Some((cluster, users)) = busy([2, 1, 1, 1]).await else { return };
    cluster.member("teacher", 0).signal("STOP");
    let stopped = Instant::now();
    // Calls that it had wait for the keepalive; later ones go to the other.
    users.explained(3 * EXPLAINING).await;
    let deeds = users.finish().await;
    tell("stopped teacher", &deeds);
    check(&deeds);
    assert!(stopped.elapsed() < Duration::from_secs(30), "{:?}", stopped.elapsed());
    let failed: Vec<&Deed> = deeds.iter().filter(|deed| deed.failure.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_goes_on_at_another_teacher_when_its_own_is_killed() {
    let _turn = TURN.lock().await;
    let Some(mnist) = mnist_folder() else { return };
    let mut cluster = Cluster::start(&mnist, [2, 1, 1, 1]).await;
    let recipe = types::TeacherRecipe {
        source: Some(types::teacher_recipe::Source::Train(types::Architecture::SmallCnn.into())),
        dataset: "datasets/mnist".into(),
        training_split: "t10k".into(),
        evaluation_split: "t10k".into(),
        epoch_count: Some(3),
        ..Default::default()
    };
    let request =
        catalog::CreateTeacherRequest { teacher_id: "wandering".into(), recipe: Some(recipe), ..Default::default() };
    let operation = cluster.api.catalog.clone().create_teacher(request).await.unwrap().into_inner();
    // Whichever trains, one of the two kills meets it.
    let mut activity =
        cluster.api.catalog.clone().watch_activity(catalog::WatchActivityRequest {}).await.unwrap().into_inner();
    for epoch in [1, 2] {
        loop {
            let update = activity.message().await.unwrap().unwrap().update.unwrap();
            if let catalog::watch_activity_response::Update::Operation(seen) = update
                && seen.name == operation.name
            {
                assert!(!seen.done, "it was done before both were killed");
                if seen.progress.is_some_and(|progress| progress.epoch >= epoch) {
                    break;
                }
            }
        }
        let victim = epoch as usize - 1;
        cluster.kill("teacher", victim);
        cluster.restart("teacher", victim).await;
    }
    let ended = cluster.api.finished(operation).await.unwrap();
    assert!(matches!(ended.result, Some(operation::Result::Response(_))), "{ended:?}");
}
