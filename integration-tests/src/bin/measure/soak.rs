//! Many clients for as long as one likes: nothing may fail, memory must not grow, answers must not slow down,
//! and what callers held must be given back when they have gone. With `--faults` in `faults`, another story.

mod actions;
mod clients;
mod faults;
mod permits;
mod report;
mod tally;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use integration_tests::{
    Api,
    trust::{Bar, Models, drawn, misclassified},
};
use proto::raw::deeper::explanation::v1 as raw;
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::{
    clients::{Client, Shared},
    tally::Tally,
};
use super::{
    numbers::median,
    process::{Processes, Sample},
};

/// How long nobody asks anything before what is held at rest is read: threads that wait for work end after ten.
const REST: Duration = Duration::from_secs(20);
/// From one explanation of the warm-up to the next: they take seconds.
const WARM_UP_PATIENCE: Duration = Duration::from_secs(300);
/// How long the processor is watched at rest.
const IDLE: Duration = Duration::from_secs(3);
/// Lines of the table, whatever the duration.
const LINE_COUNT: f64 = 40.0;
/// Explanations that all clients together keep, as users leave them: the system remembers the answers to 128, and
/// says of older ones only that they were asked for.
const KEPT_COUNT: usize = 64;

/// Many clients at once: errors, leaks, growth, slowing down; or, with --faults, what they notice of faults
#[derive(Args)]
pub(super) struct Options {
    /// Minutes of mixed use that are measured, after the warm-up; with --faults, every fault happens at least once, and
    /// the round that has begun by then is ended
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// Clients at once, each on a connection of its own
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Explanations before anything is counted: so many fill every cache of the system
    #[arg(long, default_value_t = 540)]
    warm_up: usize,
    /// Neighbors of an explanation
    #[arg(long, default_value_t = 1_000)]
    neighbors: u32,
    /// Processes of the system: `123,124` [default: the one that listens at the server's port]
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
    /// The programs of a cluster: `{data}/cluster/programs.json` of `cargo xtask up --cluster`, a JSON array of
    /// objects with `name`, `program`, `address` and `pid`
    #[arg(long, value_name = "FILE", conflicts_with = "pid")]
    cluster: Option<PathBuf>,
    /// What happens to the cluster meanwhile
    #[command(flatten)]
    faults: faults::Options,
}

pub(super) async fn run(server: &str, api: &Api, models: &Models, options: &Options) -> Result<Vec<Bar>, Status> {
    let processes = Processes::find(server, &options.pid, options.cluster.as_deref())?;
    let examples = drawn(misclassified(api, &models.teacher).await?, 3, usize::MAX);
    if examples.is_empty() {
        return Err(Status::failed_precondition("the teacher makes no mistakes"));
    }
    if let (true, Some(cluster)) = (options.faults.are_wanted(), &options.cluster) {
        let (run, bars) = faults::run(server, models, examples, cluster, options).await?;
        clear(api, run).await?;
        return Ok(bars);
    }
    // Each phase has names and seeds of its own: the clock's.
    let share = || {
        Arc::new(Shared {
            server: server.to_owned(),
            models: models.clone(),
            examples: examples.clone(),
            neighbor_count: options.neighbors,
            kept_count: (KEPT_COUNT / options.clients.max(1)).max(1),
            tally: Tally::default(),
            stop: CancellationToken::new(),
            run: std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64,
        })
    };

    println!("filling the caches with {} explanations", options.warm_up);
    let warm_up = share();
    let clients = start(&warm_up, options.clients, false)?;
    warm(&warm_up.tally, options.warm_up).await?;
    finish(&warm_up, clients).await;
    let before = at_rest(&processes).await?;
    clear(api, warm_up.run).await?;

    let mixed = share();
    let clients = start(&mixed, options.clients, true)?;
    let began = Instant::now();
    let samples = watch(&processes, &mixed.tally, options.minutes).await?;
    finish(&mixed, clients).await;
    let after = at_rest(&processes).await?;
    let idle = idle_cores(&processes).await?;
    let running = clear(api, mixed.run).await?;
    let refused = permits::refused(api, models, &examples[0], mixed.run).await?;

    let counts = mixed.tally.counts();
    report::ending(&before, &after, &counts);
    let mut bars = report::of_counts(&counts, warm_up.tally.counts().failed, began, options.minutes);
    bars.extend(report::of_process(&before, &after, &samples, processes.count()));
    bars.push(Bar::at_most("processor cores busy at rest", idle, 0.05));
    bars.push(Bar::at_most("explanations that still run at rest", running as f64, 0.0));
    bars.push(Bar::at_most("of 500 calls that wait at once, refused", refused as f64, 0.0));
    Ok(bars)
}

fn start(shared: &Arc<Shared>, count: usize, is_mixed: bool) -> Result<JoinSet<()>, Status> {
    let mut clients = JoinSet::new();
    for index in 0..count {
        clients.spawn(Client::new(Arc::clone(shared), index)?.work(is_mixed));
    }
    Ok(clients)
}

/// Waits for so many explanations or a failure. Fails when none comes for long: whatever is asked for is refused.
async fn warm(tally: &Tally, count: usize) -> Result<(), Status> {
    let (mut explained, mut since) = (0, tokio::time::Instant::now());
    while explained < count && tally.counts().failed == 0 {
        sleep(Duration::from_millis(100)).await;
        if tally.explained_count() > explained {
            (explained, since) = (tally.explained_count(), tokio::time::Instant::now());
        }
        if since.elapsed() > WARM_UP_PATIENCE {
            return Err(Status::deadline_exceeded("the caches are not full, and no explanation comes any more"));
        }
    }
    Ok(())
}

/// Lets every client end what it does and go.
async fn finish(shared: &Shared, clients: JoinSet<()>) {
    shared.stop.cancel();
    clients.join_all().await;
}

async fn at_rest(processes: &Processes) -> Result<Sample, Status> {
    sleep(REST).await;
    processes.sample()
}

/// Cores that compute although nobody asks.
async fn idle_cores(processes: &Processes) -> Result<f64, Status> {
    let before = processes.sample()?;
    sleep(IDLE).await;
    Ok((processes.sample()?.processor_seconds - before.processor_seconds) / IDLE.as_secs_f64())
}

/// Prints a line now and then until the time is up; what the processes held at each.
async fn watch(processes: &Processes, tally: &Tally, minutes: f64) -> Result<Vec<Sample>, Status> {
    report::head();
    let began = Instant::now();
    let mut ticks = interval(Duration::from_secs_f64(minutes * 60.0 / LINE_COUNT).max(Duration::from_secs(1)));
    ticks.tick().await;
    let mut samples = Vec::new();
    let mut shown = 0;
    while began.elapsed().as_secs_f64() < minutes * 60.0 {
        ticks.tick().await;
        let (counts, sample) = (tally.counts(), processes.sample()?);
        let recent = median(counts.explained[shown..].iter().map(|(_, ms)| *ms));
        shown = counts.explained.len();
        report::line(began.elapsed(), &counts, recent, &sample);
        samples.push(sample);
    }
    Ok(samples)
}

/// Deletes the explanations that the clients of a run left, and counts those that were not done.
async fn clear(api: &Api, run: u64) -> Result<usize, Status> {
    let prefix = format!("explanations/soak-{run}-");
    let request = raw::ListExplanationsRequest { page_size: 1_000, ..Default::default() };
    let listed = api.explanations.clone().list_explanations(request).await?.into_inner().explanations;
    let mut running = 0;
    for explanation in listed {
        if explanation.name.starts_with(&prefix) {
            running += usize::from(matches!(explanation.state(), raw::State::Queued | raw::State::Running));
            integration_tests::trust::forget(api, &explanation).await?;
        }
    }
    Ok(running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_warm_up_in_which_all_is_refused_ends() {
        let tally = Tally::default();
        assert!(warm(&tally, 1).await.is_err());
        tally.explained(Duration::from_secs(1));
        assert!(warm(&tally, 1).await.is_ok());
    }
}
