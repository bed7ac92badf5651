//! Batches, bounds, departures and panics, with a worker that doubles numbers.

use std::sync::Mutex;

use super::*;

/// Doubles numbers, notes its batches, panics at 13 and forgets an answer at 14.
struct Doubler {
    batches: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl Worker for Doubler {
    type Job = u32;
    type Answer = u32;

    fn cost(&self, job: &u32) -> usize {
        *job as usize
    }

    fn run(&mut self, jobs: Vec<u32>) -> Vec<Result<u32>> {
        assert!(!jobs.contains(&13), "unlucky");
        self.batches.lock().unwrap().push(jobs.clone());
        jobs.iter().filter(|&&job| job != 14).map(|job| Ok(job * 2)).collect()
    }
}

type Batches = Arc<Mutex<Vec<Vec<u32>>>>;

async fn doubler(config: EngineConfig, gate: &Gate) -> (Engine<u32, u32>, Batches) {
    let batches = Batches::default();
    let on_thread = Arc::clone(&batches);
    let engine = Engine::start(config, gate.clone(), move || Ok(Doubler { batches: on_thread })).await;
    (engine.unwrap(), batches)
}

/// Submits on a task of its own and returns once the engine's queue has it.
async fn submit(engine: &Engine<u32, u32>, job: u32) -> tokio::task::JoinHandle<Result<Done<u32>>> {
    let (engine, context) = (engine.clone(), Context::current());
    let (queued, is_queued) = oneshot::channel();
    let task = tokio::spawn(context.scope(async move {
        let mut answered = std::pin::pin!(engine.submit(job));
        // The first poll puts the job into the queue.
        let first = futures::poll!(&mut answered);
        queued.send(()).unwrap();
        match first {
            std::task::Poll::Ready(outcome) => outcome,
            std::task::Poll::Pending => answered.await,
        }
    }));
    is_queued.await.unwrap();
    task
}

#[tokio::test]
async fn jobs_that_wait_together_are_answered_in_batches_of_bounded_cost() {
    let gate = Gate::new();
    let (engine, batches) = doubler(EngineConfig::new("doubler", 10), &gate).await;
    let permit = gate.enter(Priority::Interactive);
    let mut tasks = Vec::new();
    for job in [4, 5, 3, 20, 1] {
        tasks.push(submit(&engine, job).await);
    }
    drop(permit);
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap().unwrap());
    }
    assert_eq!(*batches.lock().unwrap(), [vec![4, 5], vec![3], vec![20], vec![1]]);
    assert_eq!(answers.iter().map(|done| done.answer).collect::<Vec<_>>(), [8, 10, 6, 40, 2]);
    assert_eq!(answers.iter().map(|done| done.timings.batch_cost).collect::<Vec<_>>(), [9, 9, 3, 20, 1]);
}

#[tokio::test]
async fn a_batch_waits_for_company_no_longer_than_its_delay() {
    let config = EngineConfig { batch_delay: Duration::from_secs(3_600), ..EngineConfig::new("patient", 10) };
    let (engine, batches) = doubler(config, &Gate::new()).await;
    let (first, second) = tokio::join!(engine.submit(4), engine.submit(6));
    assert_eq!((first.unwrap().answer, second.unwrap().answer), (8, 12));
    assert_eq!(*batches.lock().unwrap(), [vec![4, 6]]);
    let config = EngineConfig { batch_delay: Duration::from_millis(1), ..EngineConfig::new("impatient", 10) };
    let (engine, _) = doubler(config, &Gate::new()).await;
    assert_eq!(engine.submit(4).await.unwrap().answer, 8);
}

#[tokio::test]
async fn a_full_queue_is_an_error_at_once() {
    let gate = Gate::new();
    let config = EngineConfig { queue_capacity: 2, ..EngineConfig::new("doubler", 1) };
    let (engine, _) = doubler(config, &gate).await;
    let permit = gate.enter(Priority::Interactive);
    let waiting = [submit(&engine, 2).await, submit(&engine, 3).await];
    let asked_at = Instant::now();
    let Err(Error::QueueFull { engine: name, retry_after_ms }) = engine.submit(4).await else {
        panic!("a third job was taken")
    };
    assert!(asked_at.elapsed() < Duration::from_millis(10));
    assert_eq!(name, "doubler");
    assert!((100..=10_000).contains(&retry_after_ms));
    drop(permit);
    for task in waiting {
        assert!(task.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn the_places_of_callers_that_left_are_free() {
    let gate = Gate::new();
    let config = EngineConfig { queue_capacity: 2, ..EngineConfig::new("doubler", 1) };
    let (engine, _) = doubler(config, &gate).await;
    let permit = gate.enter(Priority::Interactive);
    for task in [submit(&engine, 2).await, submit(&engine, 3).await] {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let stays = [submit(&engine, 4).await, submit(&engine, 5).await];
    drop(permit);
    for (task, answer) in stays.into_iter().zip([8, 10]) {
        assert_eq!(task.await.unwrap().unwrap().answer, answer);
    }
}

fn caller(key: &str) -> Caller {
    Caller::new(key).unwrap()
}

#[tokio::test]
async fn callers_take_turns_by_what_they_cost_and_the_queue_keeps_a_place_for_each() {
    let gate = Gate::new();
    let config = EngineConfig { queue_capacity: 8, ..EngineConfig::new("doubler", 4) };
    let (engine, batches) = doubler(config, &gate).await;
    let permit = gate.enter(Priority::Interactive);
    let mut tasks = Vec::new();
    let mut queue = async |key: &str, job| {
        let scoped = Context { caller: caller(key), ..Context::default() };
        tasks.push(scoped.scope(submit(&engine, job)).await);
    };
    // Six of eight places are all that one caller gets.
    for _ in 0..6 {
        queue("greedy", 4).await;
    }
    let refused = engine.submit_for(&caller("greedy"), 4).await;
    assert!(matches!(refused, Err(Error::QueueFull { .. })), "{refused:?}");
    // Two small ones cost as much as one of the greedy ones.
    queue("modest", 2).await;
    queue("modest", 2).await;
    drop(permit);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(*batches.lock().unwrap(), [vec![4], vec![2, 2], vec![4], vec![4], vec![4], vec![4], vec![4]]);
}

#[tokio::test]
async fn a_caller_that_was_away_goes_first_for_a_few_batches_and_takes_turns_after_that() {
    let gate = Gate::new();
    let (engine, batches) = doubler(EngineConfig::new("doubler", 1), &gate).await;
    let mut tasks = Vec::new();
    let mut queue = async |key: &str, job| {
        let scoped = Context { caller: caller(key), ..Context::default() };
        tasks.push(scoped.scope(submit(&engine, job)).await);
    };
    let mut permit = gate.enter(Priority::Interactive);
    for _ in 0..60 {
        queue("busy", 1).await;
    }
    // Between two batches the engine stands at the gate, and so does this: they take turns.
    while batches.lock().unwrap().len() < 12 {
        let next = gate.enter_for(Priority::Interactive, &caller("test"));
        drop(permit);
        permit = next.wait(Duration::from_secs(10)).unwrap();
    }
    let before = batches.lock().unwrap().len();
    for _ in 0..12 {
        queue("back", 2).await;
    }
    drop(permit);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let order = batches.lock().unwrap()[before..].concat();
    // Each of its jobs costs two: eight ahead and the turn that it would have had; then as much as the other.
    assert_eq!(order[..14], [2, 2, 2, 2, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2]);
}

#[tokio::test]
async fn a_caller_that_left_costs_nothing() {
    let gate = Gate::new();
    let (engine, batches) = doubler(EngineConfig::new("doubler", 1), &gate).await;
    let permit = gate.enter(Priority::Interactive);
    let (at_the_gate, in_the_queue) = (submit(&engine, 1).await, submit(&engine, 2).await);
    for task in [at_the_gate, in_the_queue] {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let stays = submit(&engine, 3).await;
    drop(permit);
    assert_eq!(stays.await.unwrap().unwrap().answer, 6);
    assert_eq!(*batches.lock().unwrap(), [vec![3]]);
}

#[tokio::test]
async fn a_panic_or_a_missing_answer_is_unexpected_and_the_engine_goes_on() {
    let (engine, _) = doubler(EngineConfig::new("doubler", 1), &Gate::new()).await;
    assert_eq!(engine.submit(13).await, Err(Error::unexpected("panic: unlucky")));
    assert_eq!(engine.submit(14).await, Err(Error::unexpected("0 answers to 1 jobs")));
    assert_eq!(engine.submit(15).await.unwrap().answer, 30);
}

#[tokio::test]
async fn an_engine_whose_worker_cannot_be_built_says_why() {
    let config = EngineConfig::new("broken", 1);
    let missing = Error::NotFound { kind: "TEACHER", resource: "teachers/none".into() };
    let told = missing.clone();
    let outcome = Engine::start::<Doubler, _>(config.clone(), Gate::new(), move || Err(told)).await;
    assert_eq!(outcome.err(), Some(missing));
    let outcome = Engine::start::<Doubler, _>(config, Gate::new(), || panic!("no weights")).await;
    assert_eq!(outcome.err(), Some(Error::unexpected("panic: no weights")));
}

#[tokio::test]
async fn the_thread_ends_with_its_last_handle() {
    let (engine, batches) = doubler(EngineConfig::new("doubler", 1), &Gate::new()).await;
    let twin = engine.clone();
    drop(engine);
    assert_eq!(twin.submit(1).await.unwrap().answer, 2);
    drop(twin);
    while Arc::strong_count(&batches) > 1 {
        tokio::task::yield_now().await;
    }
}
