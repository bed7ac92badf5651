//! Users at work while one fault after the other happens to their cluster.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::Status;

use super::{
    Fault, Injury, Kind, Ledger, Schedule, Seen, Verdict,
    clients::{Client, Shared},
    inflict,
};
use crate::{Api, known::Numbers, members::Members, trust::Models};

/// Between two looks at memory and at whether the first answers are there.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The first explanations of an undisturbed system take no longer than this.
const WARM_UP_LIMIT: Duration = Duration::from_secs(600);

/// What is done to whom.
pub struct Plan {
    /// Where users ask: `http://host:port`, several divided by commas.
    pub server: String,
    /// What they explain with.
    pub models: Models,
    /// What they explain; at least one.
    pub examples: Vec<String>,
    /// Neighbors of an explanation.
    pub neighbor_count: u32,
    /// Users at once.
    pub client_count: usize,
    /// The programs to which faults happen.
    pub members: Members,
    /// What happens; see [`Fault::all`].
    pub faults: Vec<Fault>,
    /// No further round of all faults begins after it.
    pub duration: Duration,
    /// From the beginning of one fault to that of the next, unless the first one can still be felt.
    pub every: Duration,
    /// How long faults last that end when one likes.
    pub hold: Duration,
    /// After a fault's end, before the next one begins: long enough to see whether it is still felt.
    pub settle: Duration,
    /// Of the faults' order and the users' choices.
    pub seed: u64,
}

/// One fault, and what was seen until the next one.
#[derive(Debug)]
pub struct Line<'a> {
    /// Since the first user.
    pub elapsed: Duration,
    /// What happened.
    pub injury: &'a Injury,
    /// Explanations since the fault's beginning.
    pub explained_count: u64,
    /// Failures since the fault's beginning.
    pub failure_count: usize,
    /// The last failure after the fault's end.
    pub tail: Duration,
    /// All programs together, now.
    pub resident_mib: f64,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Outcome {
    /// What happened.
    pub injuries: Vec<Injury>,
    /// What users saw of it.
    pub seen: Seen,
    /// The most that one program had at any time, in MiB; not a number where nobody tells.
    pub largest_mib: f64,
    /// For names of what users left.
    pub run: u64,
}

impl Outcome {
    /// Held against what is promised.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.injuries, self.seen.failures.iter().map(|failed| failed.at))
    }
}

/// The kinds of program that a cluster has.
pub fn kinds(members: &Members) -> Result<Vec<Kind>, Status> {
    let all = members.read()?;
    let is_there = |kind: &Kind| all.iter().any(|member| member.program_name() == kind.program());
    Ok(Kind::ALL.into_iter().filter(is_there).collect())
}

/// Lets users work, waits until each kind of question has been answered, and then lets one fault after the other
/// happen. `told` hears of each when it can no longer be felt.
pub async fn soak(plan: &Plan, mut told: impl FnMut(&Line)) -> Result<Outcome, Status> {
    let run = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64;
    let shared = Arc::new(Shared {
        models: plan.models.clone(),
        examples: plan.examples.clone(),
        neighbor_count: plan.neighbor_count,
        ledger: Ledger::default(),
        answers: Mutex::default(),
        stop: CancellationToken::new(),
        run,
    });
    let _stop = shared.stop.clone().drop_guard();
    let mut clients = JoinSet::new();
    for index in 0..plan.client_count as u64 {
        let channel = runtime::channel::connect("deeper", &plan.server);
        let api = Api::over(channel.map_err(|error| Status::invalid_argument(error.to_string()))?);
        let numbers = Numbers::new(plan.seed.wrapping_add(index));
        clients.spawn(Client { shared: Arc::clone(&shared), api, numbers, index, request_count: 0 }.work());
    }
    let memory = Memory::watch(plan.members.clone());
    let began = Instant::now();
    warm(&shared.ledger, plan.client_count as u64).await?;

    let (mut injuries, start) = (Vec::new(), Instant::now());
    for (fault, choice) in Schedule::new(plan.faults.clone(), plan.seed) {
        let is_new_round = injuries.len().is_multiple_of(plan.faults.len()) && !injuries.is_empty();
        if is_new_round && start.elapsed() >= plan.duration {
            break;
        }
        let next = Instant::now() + plan.every;
        let before = shared.ledger.seen();
        injuries.push(inflict(&plan.members, fault, choice, plan.hold).await?);
        sleep(plan.settle.max(next.saturating_duration_since(Instant::now()))).await;
        let seen = shared.ledger.seen();
        let failures = &seen.failures[before.failures.len()..];
        let injury = &injuries[injuries.len() - 1..];
        told(&Line {
            elapsed: began.elapsed(),
            injury: &injury[0],
            explained_count: seen.explained.len() - before.explained.len(),
            failure_count: failures.len(),
            tail: Verdict::of(injury, failures.iter().map(|failed| failed.at)).tails[0],
            resident_mib: memory.now(),
        });
    }
    shared.stop.cancel();
    // Whatever was asked for has to come.
    clients.join_all().await;
    Ok(Outcome { injuries, seen: shared.ledger.seen(), largest_mib: memory.largest(), run })
}

/// Waits for the first explanations.
async fn warm(ledger: &Ledger, count: u64) -> Result<(), Status> {
    let began = Instant::now();
    while ledger.seen().explained.len() < count {
        if began.elapsed() > WARM_UP_LIMIT {
            return Err(Status::deadline_exceeded("the first explanations do not come"));
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// What the programs hold, read now and then.
struct Memory {
    /// The sum of now and the most that one had. Written by a task, read by the soak.
    held: Arc<Mutex<(f64, f64)>>,
    _task: AbortOnDropHandle<()>,
}

impl Memory {
    fn watch(members: Members) -> Self {
        let held = Arc::new(Mutex::new((f64::NAN, f64::NAN)));
        let written = Arc::clone(&held);
        let task = tokio::spawn(async move {
            loop {
                // A program that is being started again has none.
                let all: Vec<f64> =
                    members.read().unwrap_or_default().iter().filter_map(|member| member.resident_mib()).collect();
                {
                    let mut held = written.lock().unwrap_or_else(PoisonError::into_inner);
                    *held = (all.iter().sum(), all.iter().copied().fold(held.1, f64::max));
                }
                sleep(LOOK_AGAIN).await;
            }
        });
        Self { held, _task: AbortOnDropHandle::new(task) }
    }

    fn now(&self) -> f64 {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn largest(&self) -> f64 {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
