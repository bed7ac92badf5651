//! Replicas that are asked the same at once: one computes, and nobody waits for the dead.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::*;
use crate::{caller::MAX_SHARED_LIMIT, explanations::memory::turns::LEASE};

fn replicas<const N: usize>() -> (MemoryStore, [Memory; N]) {
    let store = MemoryStore::between_replicas();
    let memories = std::array::from_fn(|_| Memory::over(Arc::new(store.clone())));
    (store, memories)
}

fn watched() -> (watch::Sender<Snapshot>, watch::Receiver<Snapshot>) {
    watch::channel(Snapshot::default())
}

async fn turn_of(memory: &Memory, question: &Question) -> Turn<Snapshot> {
    memory.turn(question, &watched().0).await
}

#[tokio::test(start_paused = true)]
async fn three_hundred_askers_at_three_replicas_compute_an_instance_once() {
    let (_, replicas) = replicas::<3>();
    let computed = Arc::new(AtomicUsize::new(0));
    let mut askers = tokio::task::JoinSet::new();
    for i in 0..300 {
        let (memory, computed) = (replicas[i % 3].clone(), Arc::clone(&computed));
        askers.spawn(async move {
            let compute = async {
                computed.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(700)).await;
                Ok(instance())
            };
            memory.instance((&question(40)).into(), compute).await.unwrap()
        });
    }
    let answers = askers.join_all().await;
    assert!(answers.len() == 300 && answers.iter().all(|answer| **answer == instance()));
    assert_eq!(computed.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_creators_seats_are_counted_over_all_replicas_and_those_of_a_dead_one_come_free() {
    let (_, [first, second]) = replicas();
    let taken = async |memory: &Memory, creator: &str| match memory.seat(creator, 3).await {
        Seat::Taken(held) => Some(held),
        Seat::None => None,
        Seat::Uncounted => panic!("the store counts"),
    };
    let one = taken(&first, "ana").await.unwrap();
    let two = taken(&second, "ana").await.unwrap();
    let three = taken(&first, "ana").await;
    assert!(three.is_some() && taken(&first, "ana").await.is_none() && taken(&second, "ana").await.is_none());
    assert!(taken(&second, "ben").await.is_some(), "everybody has seats of their own");

    // One ends, one is held on to, and one is of a replica that is not there any more.
    drop(two);
    tokio::task::yield_now().await;
    let two = taken(&first, "ana").await;
    assert!(two.is_some());
    std::mem::forget(three);
    let (kept, two) = (Some(one), two);
    holding(&kept, holding(&two, sleep(Duration::from_secs(10)))).await;
    let three = taken(&second, "ana").await;
    assert!(three.is_some() && taken(&first, "ana").await.is_none());

    assert!(matches!(Memory::default().seat("ana", 3).await, Seat::Uncounted), "nobody shares");
    assert!(matches!(first.seat("ana", MAX_SHARED_LIMIT + 1).await, Seat::Uncounted));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_lost_is_taken_again_once_it_is_free() {
    let (_, [first, second]) = replicas();
    let Seat::Taken(held) = first.seat("ana", 1).await else { panic!("it is the first") };
    // Longer than a lease lives: a pause of the process, or of its store.
    sleep(LEASE * 2).await;
    let taken = second.seat("ana", 1).await;
    assert!(matches!(taken, Seat::Taken(_)));
    let held = Some(held);
    holding(&held, async {
        sleep(Duration::from_secs(2)).await;
        drop(taken);
        sleep(Duration::from_secs(2)).await;
        assert!(matches!(second.seat("ana", 1).await, Seat::None));
    })
    .await;
    drop(held);
    tokio::task::yield_now().await;
    assert!(matches!(second.seat("ana", 1).await, Seat::Taken(_)), "it is given back");
}

#[tokio::test(start_paused = true)]
async fn the_second_replica_waits_for_the_first_and_shows_its_progress() {
    let (_, [first, second]) = replicas();
    let question = question(700);
    let Turn::Ours(Some(held)) = turn_of(&first, &question).await else { panic!("it is the first") };
    let run = {
        let (first, question) = (first.clone(), question.clone());
        let (progress, snapshots) = watched();
        tokio::spawn(async move {
            let work = async {
                sleep(Duration::from_millis(100)).await;
                let half = Snapshot { stage: Stage::Labeling, student: None, ..answer(125) };
                progress.send_replace(half);
                // Longer than a lease lives unless it is renewed.
                sleep(Duration::from_secs(8)).await;
            };
            let held = Some(held);
            holding(&held, async {
                tokio::select! { () = work => (), () = first.tell(&question, snapshots) => () }
            })
            .await;
            first.share(&question, &answer(700), true, held).await;
        })
    };
    let (progress, mut seen) = watched();
    let half = async {
        let half = seen.wait_for(|snapshot| snapshot.neighborhood.len() == 125).await.unwrap().clone();
        assert_eq!((half.stage, half.instance.is_some()), (Stage::Labeling, true));
    };
    let (turn, ()) = tokio::join!(second.turn(&question, &progress), half);
    let Turn::Found(found) = turn else { panic!("the first one answers") };
    assert_eq!(found.student, answer(700).student);
    run.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_dies_is_replaced_and_what_it_labelled_is_kept() {
    let (store, [first, second]) = replicas();
    let question = question(700);
    // Dies: its lease is neither renewed nor given back.
    let Turn::Ours(Some(held)) = turn_of(&first, &question).await else { panic!("it is the first") };
    std::mem::forget(held);
    first.shared.put_neighborhood(&question, &neighbors(250)).await;
    first.shared.put_progress(&question, &answer(250)).await;

    let (progress, seen) = watched();
    let began = Instant::now();
    let turn = second.turn(&question, &progress).await;
    assert!(matches!(turn, Turn::Ours(Some(_))));
    assert!(began.elapsed() <= Duration::from_millis(3_200), "{:?}", began.elapsed());
    // The run begins anew, with what is known.
    assert!(seen.borrow().neighborhood.is_empty());
    assert_eq!(content(&second.neighborhood(&question).await), content(&neighbors(250)));
    drop((turn, store));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_hangs_is_not_waited_for_without_end() {
    let (store, [memory]) = replicas();
    let question = question(40);
    let key = SharedKeys::answer(&question).lease();
    // Somebody who is alive, but does nothing.
    assert!(matches!(store.acquire(&key, Duration::from_secs(100_000)).await, Acquired::Held(_)));
    let began = Instant::now();
    assert!(matches!(turn_of(&memory, &question).await, Turn::Ours(None)));
    assert!((15..16).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_gives_the_lease_back_at_once() {
    let (_, [first, second]) = replicas();
    let question = question(40);
    let endless = first.instance((&question).into(), std::future::pending());
    assert!(tokio::time::timeout(Duration::from_millis(50), endless).await.is_err());
    let began = Instant::now();
    second.instance((&question).into(), async { Ok(instance()) }).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_each_replicas_own() {
    let (_, [first, second]) = replicas();
    let question = question(40);
    let failed = first.instance((&question).into(), async { Err(Error::Cancelled) }).await;
    assert_eq!(failed, Err(Error::Cancelled));
    let computed = second.instance((&question).into(), async { Ok(instance()) }).await;
    assert_eq!(*computed.unwrap(), instance());
}

#[tokio::test]
async fn without_an_answer_of_the_store_everybody_computes() {
    let memory = Memory::over(Arc::new(Bench::default()));
    assert!(matches!(turn_of(&memory, &question(40)).await, Turn::Ours(None)));
}
