//! More load than a teacher can take, and callers of unequal appetite. The teacher's batches take a known
//! time, so that its capacity is known too.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use domain::{ImageBatch, ResourceName};
use integration_tests::{
    World,
    brake::Brake,
    known::{KnownTeacher, KnownWorkshop, random_image},
    load::{Report, closed_loop, even, open_loop, resident_mib},
    replica::Replica,
};
use proto::raw::deeper::teacher::v1::{ClassifyImagesRequest, teacher_service_client::TeacherServiceClient};
use runtime::{
    call::{Caller, Context},
    channel::{self, Channel},
    engine::QueueConfig,
    long::TrainingConfig,
};
use tonic::Status;

const TEACHER: &str = "teachers/slow";
/// Slow enough that ten times the load is little for the machine, whatever else it does.
const BATCH_TIME: Duration = Duration::from_millis(80);
/// Images of a batch where ten times the load comes: in a debug build each call costs a millisecond of a processor
/// that others may have, and a refusal's time must not be the generator's.
const OVERLOADED_BATCH: usize = 3;
/// Where callers share a teacher.
const SHARED_BATCH: usize = 5;
/// Half of the refusals, from their sending to their answer. `measure load` holds a quiet machine to the same for 99 in
/// 100; here other tests and compilers may have the processor at the moment.
const REFUSAL_LIMIT_MS: f64 = 10.0;

/// The machine that tests run on has pauses of its own: one good try of so many counts.
const TRIES: usize = 3;

/// The tests take turns: they measure the same processor.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Images a second: what an engine can do when every batch is full.
fn capacity(batch_size: usize) -> f64 {
    batch_size as f64 / BATCH_TIME.as_secs_f64()
}

async fn slow_teacher(batch_size: usize) -> (Replica, Channel) {
    let world = World::linear().await;
    let teacher = KnownTeacher::linear().taking(BATCH_TIME);
    let name = ResourceName::parse(TEACHER, ResourceName::TEACHER).unwrap();
    let workshop = KnownWorkshop::new(teacher, std::sync::Arc::new(Brake::default())).with_teacher(&name, batch_size);
    let queue = QueueConfig { queue_capacity: 32, ..QueueConfig::default() };
    let replica = Replica::start(&workshop, &world.artifacts, queue, TrainingConfig::default()).await;
    let channel = channel::connect("teacher", &replica.url()).unwrap().without_repeats();
    classify(channel.clone(), "warm-up", 0).await.unwrap();
    (replica, channel)
}

/// One image for one caller.
async fn classify(channel: Channel, caller: &str, index: u64) -> Result<(), Status> {
    let image = random_image(index % 16);
    let images = ImageBatch::from_images(image.shape(), [&image]).unwrap();
    let request = ClassifyImagesRequest { teacher: TEACHER.into(), images: Some((&images).into()) };
    let context = Context { caller: Caller::new(caller).unwrap(), ..Context::default() };
    context.scope(TeacherServiceClient::new(channel).classify_images(request)).await.map(drop)
}

async fn offered(channel: &Channel, caller: &'static str, per_second: f64, seconds: f64) -> Report {
    let channel = channel.clone();
    let duration = Duration::from_secs_f64(seconds);
    let due = even(per_second, duration);
    open_loop(due, duration, move |index| classify(channel.clone(), caller, index)).await
}

/// Measures until it is as it should be, `Err` saying what is not.
async fn once(mut measure: impl AsyncFnMut() -> Result<(), String>) {
    for left in (0..TRIES).rev() {
        match measure().await {
            Ok(()) => return,
            Err(why) if left > 0 => eprintln!("tried again: {why}"),
            Err(why) => panic!("{why}"),
        }
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_and_ten_times_the_load_cost_neither_goodput_nor_memory_and_refusals_come_at_once() {
    let _turn = TURN.lock().await;
    let (_replica, channel) = slow_teacher(OVERLOADED_BATCH).await;
    let before = resident_mib(std::process::id()).unwrap();
    once(async || overloaded(&channel).await).await;
    let after = resident_mib(std::process::id()).unwrap();
    assert!(after - before < 32.0, "memory grew from {before:.0} to {after:.0} MiB");
}

async fn overloaded(channel: &Channel) -> Result<(), String> {
    let alone = channel.clone();
    let peak =
        closed_loop(3 * OVERLOADED_BATCH, Duration::from_secs(2), move |index| classify(alone.clone(), "a", index));
    let peak = peak.await.goodput();
    // Batches are formed across callers: one by one it would be a third, however idle the machine is.
    let capacity = capacity(OVERLOADED_BATCH);
    ensure(peak > 0.6 * capacity, || format!("{peak:.1} of {capacity} a second"))?;
    for factor in [2.0, 10.0] {
        let report = offered(channel, "a", factor * peak, 2.0).await;
        eprintln!(
            "{factor} × {peak:.0}/s: goodput {:.0}/s, success p99 {:.0} ms, refusals {} p50 {:.1} p99 {:.1} ms, {:?}",
            report.goodput(),
            report.success_ms(0.99),
            report.refused.len(),
            report.refusal_ms(0.5),
            report.refusal_ms(0.99),
            report.codes,
        );
        // However busy the machine is.
        assert_eq!((report.failed.len(), report.unsent, report.refused_without_delay), (0, 0, 0), "{:?}", report.codes);
        assert!(!report.refused.is_empty());
        let (goodput, refusal_ms) = (report.goodput(), report.refusal_ms(0.5));
        ensure(goodput >= 0.9 * peak, || format!("{goodput:.0} of {peak:.0} a second at {factor} times"))?;
        ensure(refusal_ms <= REFUSAL_LIMIT_MS, || format!("half of the refusals took {refusal_ms} ms"))?;
        // What is taken is answered within the queue's time, not later and later.
        ensure(report.success_ms(0.99) < 1_500.0, || format!("successes took {} ms", report.success_ms(0.99)))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_load_of_one_caller_makes_another_wait_at_most_twice_as_long() {
    let _turn = TURN.lock().await;
    let (_replica, channel) = slow_teacher(SHARED_BATCH).await;
    once(async || beside_a_greedy_one(&channel).await).await;
}

async fn beside_a_greedy_one(channel: &Channel) -> Result<(), String> {
    let share = 0.3 * capacity(SHARED_BATCH);
    let alone = offered(channel, "modest", share, 2.0).await;
    let (modest, greedy) =
        tokio::join!(offered(channel, "modest", share, 3.0), offered(channel, "greedy", 10.0 * share, 3.0));
    eprintln!(
        "alone p50 {:.0} p99 {:.0} ms; beside ten times the load p50 {:.0} p99 {:.0} ms; the other p99 {:.0} ms, {:?}",
        alone.success_ms(0.5),
        alone.success_ms(0.99),
        modest.success_ms(0.5),
        modest.success_ms(0.99),
        greedy.success_ms(0.99),
        greedy.codes,
    );
    // However busy the machine is.
    assert_eq!(modest.refused.len() + modest.failed.len(), 0, "{:?}", modest.codes);
    assert!(!greedy.refused.is_empty(), "the greedy one pays for it");
    let (alone, beside) = (alone.success_ms(0.99), modest.success_ms(0.99));
    ensure(beside <= 2.0 * alone, || format!("{beside} ms instead of {alone}"))
}
