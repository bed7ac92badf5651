//! The fault soak of `cargo xtask measure soak -- --faults`, for a moment and on small models: it does what it says,
//! and the system keeps what is promised meanwhile.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(all(feature = "torch", target_os = "linux"))]

use std::{fs, time::Duration};

use integration_tests::{
    cluster::Cluster,
    faults::{Fault, Kind, Plan, soak},
    members::Members,
    small::{AUTOENCODER, TEACHER, mnist_folder},
    trust::{Models, drawn, misclassified},
};
use proto::raw::deeper::catalog::v1 as catalog;
use tokio_util::task::AbortOnDropHandle;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_notice_a_moment_of_a_killed_and_of_a_stopped_student_at_most() {
    let Some(mnist) = mnist_folder() else { return };
    let mut cluster = Cluster::start(&mnist, [1, 1, 2, 1]).await;
    let request = catalog::GetTeacherRequest { name: TEACHER.into() };
    let teacher = cluster.api.catalog.clone().get_teacher(request).await.unwrap().into_inner();
    let examples = drawn(misclassified(&cluster.api, &teacher).await.unwrap(), 1, 20);
    let server = cluster.member("orchestrator", 0).url();

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("programs.json");
    let write = {
        let file = file.clone();
        move |text: String| {
            // Whoever reads sees the old list or the new one.
            fs::write(file.with_extension("new"), text).unwrap();
            fs::rename(file.with_extension("new"), &file).unwrap();
        }
    };
    write(serde_json::to_string(&cluster.revived().await).unwrap());
    let _supervisor = AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            write(serde_json::to_string(&cluster.revived().await).unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }));

    let second = Duration::from_secs(1);
    let plan = Plan {
        server,
        models: Models { teacher, autoencoder: AUTOENCODER.to_owned() },
        examples,
        neighbor_count: 125,
        client_count: 3,
        members: Members::at(&file),
        faults: vec![Fault::Kill(Kind::Student), Fault::Pause(Kind::Student)],
        // One round.
        duration: Duration::ZERO,
        every: Duration::ZERO,
        hold: second / 2,
        settle: second,
        seed: 1,
    };
    let mut told = Vec::new();
    let outcome = soak(&plan, |line| told.push((line.injury.fault, line.explained_count))).await.unwrap();
    assert_eq!((told.len(), outcome.injuries.len()), (2, 2), "{told:?}");
    for bar in outcome.verdict().bars(&outcome.seen, outcome.largest_mib) {
        assert!(bar.holds(), "{}: {:#?}", bar.line(), outcome.seen);
    }
}
