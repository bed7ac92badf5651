//! More load than a teacher can take, and callers of unequal appetite. The teacher's batches take a known
//! time, so that its capacity is known too.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use domain::{ImageBatch, ResourceName};
use integration_tests::{
    World,
    brake::Brake,
    known::{KnownTeacher, KnownWorkshop, random_image},
    load::{Report, closed_loop, open_loop, resident_mib},
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
const BATCH_SIZE: usize = 5;
/// Slow enough that ten times the load is little for the machine, whatever else it does.
const BATCH_TIME: Duration = Duration::from_millis(80);
/// Images a second: what the engine can do when every batch is full.
const CAPACITY: f64 = BATCH_SIZE as f64 / 0.08;
/// Half of the refusals, as their callers see them. `measure load` holds a quiet machine to 10 ms for 99 in 100.
const REFUSAL_LIMIT_MS: f64 = 50.0;

/// The tests take turns: they measure the same processor.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn slow_teacher() -> (Replica, Channel) {
    let world = World::linear().await;
    let teacher = KnownTeacher::linear().taking(BATCH_TIME);
    let name = ResourceName::parse(TEACHER, ResourceName::TEACHER).unwrap();
    let workshop = KnownWorkshop::new(teacher, std::sync::Arc::new(Brake::default())).with_teacher(&name, BATCH_SIZE);
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
    open_loop(per_second, duration, move |index| classify(channel.clone(), caller, index)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_and_ten_times_the_load_cost_neither_goodput_nor_memory_and_refusals_come_at_once() {
    let _turn = TURN.lock().await;
    let (_replica, channel) = slow_teacher().await;
    let alone = channel.clone();
    let peak = closed_loop(3 * BATCH_SIZE, Duration::from_secs(2), move |index| classify(alone.clone(), "a", index));
    let peak = peak.await.goodput();
    assert!(peak > 0.85 * CAPACITY, "{peak} of {CAPACITY} a second");
    let before = resident_mib(std::process::id()).unwrap();
    for factor in [2.0, 10.0] {
        let report = offered(&channel, "a", factor * peak, 2.0).await;
        eprintln!(
            "{factor} × {peak:.0}/s: goodput {:.0}/s, success p99 {:.0} ms, refusals {} p50 {:.1} p99 {:.1} ms, {:?}",
            report.goodput(),
            report.success_ms(0.99),
            report.refused.len(),
            report.refusal_ms(0.5),
            report.refusal_ms(0.99),
            report.codes,
        );
        assert!(report.goodput() >= 0.9 * peak, "{:.0} of {peak:.0} a second at {factor} times", report.goodput());
        assert_eq!((report.failed.len(), report.unsent, report.refused_without_delay), (0, 0, 0), "{:?}", report.codes);
        assert!(report.refusal_ms(0.5) <= REFUSAL_LIMIT_MS, "half of the refusals took {} ms", report.refusal_ms(0.5));
        // What is taken is answered within the queue's time, not later and later.
        assert!(report.success_ms(0.99) < 1_500.0);
    }
    let after = resident_mib(std::process::id()).unwrap();
    assert!(after - before < 32.0, "memory grew from {before:.0} to {after:.0} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_load_of_one_caller_makes_another_wait_at_most_twice_as_long() {
    let _turn = TURN.lock().await;
    let (_replica, channel) = slow_teacher().await;
    let share = 0.3 * CAPACITY;
    let alone = offered(&channel, "modest", share, 2.0).await;
    let (modest, greedy) =
        tokio::join!(offered(&channel, "modest", share, 3.0), offered(&channel, "greedy", 10.0 * share, 3.0));
    eprintln!(
        "alone p50 {:.0} p99 {:.0} ms; beside ten times the load p50 {:.0} p99 {:.0} ms; the other p99 {:.0} ms, {:?}",
        alone.success_ms(0.5),
        alone.success_ms(0.99),
        modest.success_ms(0.5),
        modest.success_ms(0.99),
        greedy.success_ms(0.99),
        greedy.codes,
    );
    assert_eq!(modest.refused.len() + modest.failed.len(), 0, "{:?}", modest.codes);
    assert!(modest.success_ms(0.99) <= 2.0 * alone.success_ms(0.99));
    assert!(!greedy.refused.is_empty(), "the greedy one pays for it");
}
