//! More load than teachers can take, from an open loop: goodput, the speed of refusals, memory, and how long one
//! caller waits beside a greedy one. And what explanations users get, for whoever has to size a system.

mod calls;
mod machine;
mod table;
mod users;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use integration_tests::{
    Api,
    load::Report,
    members::Members,
    trust::{Bar, Models},
};
use tonic::Status;

use self::{calls::Calls, machine::Machine, table::Row};
use super::process::Processes;

/// Calls under way at once for each replica, from few to so many that its queue is never empty: the peak is the
/// best of them.
const CALLERS_A_REPLICA: [usize; 3] = [4, 12, 24];
/// Offered, in peaks.
const FACTORS: [f64; 3] = [0.5, 2.0, 10.0];
/// The modest caller's part of the peak; the greedy one asks for ten times as much.
const MODEST_SHARE: f64 = 0.3;
/// Calls of the modest caller, so that two of them are beyond its 99 %.
const MODEST_CALLS: f64 = 200.0;
/// However slow the teacher is.
const LONGEST_STRETCH: f64 = 300.0;

/// Teachers under more load than they can take: goodput, refusals, fairness, memory; and what users get
///
/// Runs beside the system on its own machine, which then is the generator's too: the table tells the cores that
/// each of them uses, and how late the generator was ("lag"). Start the system with `cargo xtask up --cluster` and
/// name its file with --cluster and its gRPC address with --server (http://127.0.0.1:8081); or start `teacher` by hand
/// and name --teachers and --pid. Replicas that share cores slow each other when they are busy at the same time,
/// which is no matter of fairness: on a machine with fewer cores than all teachers' threads, name one of them with
/// --teachers.
#[derive(Args)]
pub(super) struct Options {
    /// Where the teachers are: `http://host:port`, several divided by commas, or `dns:///name:port` [default: those
    /// of --cluster; else http://127.0.0.1:8081]
    #[arg(long)]
    teachers: Option<String>,
    /// The programs of a cluster: `{data}/cluster/programs.json` of `cargo xtask up --cluster`. Memory and cores
    /// are those of all of them
    #[arg(long, value_name = "FILE", conflicts_with = "pid")]
    cluster: Option<PathBuf>,
    /// Processes of the system: `123,124` [default: memory and cores are not measured]
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
    /// What to measure
    #[arg(long, value_enum, default_value = "both")]
    part: Part,
    /// Images a call to the teachers
    #[arg(long, default_value_t = 125)]
    images: usize,
    /// Seconds of each stretch of load; those of the modest caller last until it has made 200 calls
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// How calls come
    #[arg(long, value_enum, default_value = "random")]
    arrivals: Arrivals,
    /// Users at once, each of whom asks for one explanation after the other
    #[arg(long, value_delimiter = ',', default_value = "1,4,16")]
    users: Vec<usize>,
    /// Neighbors of their explanations
    #[arg(long, default_value_t = 1_000)]
    neighbors: u32,
    /// Seconds for each number of users
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    user_seconds: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Overload of teachers, and users.
    Both,
    /// Teachers under more load than they can take; speaks to them directly.
    Overload,
    /// Explanations of so many users at once; speaks to --server.
    Users,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Arrivals {
    /// Each without regard to the others, some together: as strangers come.
    Random,
    /// At even distances.
    Even,
}

pub(super) async fn run(api: &Api, models: &Models, options: &Options) -> Result<Vec<Bar>, Status> {
    let teachers = options.teachers()?;
    let machine = match (&options.cluster, options.pid.as_slice()) {
        (None, []) => Machine::new(None),
        (file, named) => Machine::new(Some(Processes::find("", named, file.as_deref())?)),
    };
    let mut bars = Vec::new();
    if options.part != Part::Users {
        let calls = Calls::connect(&teachers, &models.teacher.name, options)?;
        bars.extend(overload(&calls, &machine, teachers.split(',').count(), options).await?);
    }
    if options.part != Part::Overload {
        // Users are served by all teachers, also where one of them was overloaded alone.
        let all = options.cluster.as_deref().map(|file| Members::at(file).running("teacher")).transpose()?;
        let replica_count = all.map_or(teachers.split(',').count(), |all| all.len());
        bars.extend(users::run(api, models, &machine, replica_count, options).await?);
    }
    Ok(bars)
}

async fn overload(
    calls: &Calls,
    machine: &Machine,
    replica_count: usize,
    options: &Options,
) -> Result<Vec<Bar>, Status> {
    let duration = Duration::from_secs(options.seconds);
    // Every replica loads its model with its first call, and its memory grows to what it needs.
    calls.at_once(CALLERS_A_REPLICA[0] * replica_count, duration / 2).await;
    table::head();
    let told = |what: String, (report, usage): (Report, machine::Usage)| {
        let row = Row { what, report, usage };
        table::tell(&row);
        row
    };
    let mut peaks = Vec::new();
    for callers in CALLERS_A_REPLICA.map(|callers| callers * replica_count) {
        peaks.push(told(format!("{callers} callers"), machine.during(calls.at_once(callers, duration)).await?));
    }
    let peak = peak(&peaks)?;
    let mut offered = Vec::new();
    for factor in FACTORS {
        let load = machine.during(calls.offered("a", factor * peak, duration)).await?;
        offered.push((factor, told(format!("{factor} × peak"), load)));
    }
    let share = MODEST_SHARE * peak;
    let duration = Duration::from_secs_f64((MODEST_CALLS / share).min(LONGEST_STRETCH)).max(duration);
    let alone = told("modest".to_owned(), machine.during(calls.offered("modest", share, duration)).await?);
    let both = async {
        tokio::join!(calls.offered("modest", share, duration), calls.offered("greedy", 10.0 * share, duration))
    };
    let ((modest, greedy), usage) = machine.during(both).await?;
    let beside = told("+ greedy".to_owned(), (modest, usage));
    told("greedy".to_owned(), (greedy, usage));
    Ok(table::bars(&peaks, &offered, &alone, &beside))
}

/// The best goodput. What is offered after it is a part or a multiple of it, and so it has to be something.
fn peak(rows: &[Row]) -> Result<f64, Status> {
    let peak = rows.iter().map(|row| row.report.goodput()).fold(0.0, f64::max);
    if peak > 0.0 { Ok(peak) } else { Err(Status::unavailable("no call to the teachers succeeded")) }
}

impl Options {
    fn teachers(&self) -> Result<String, Status> {
        match (&self.teachers, &self.cluster) {
            (Some(named), _) => Ok(named.clone()),
            (None, Some(file)) => {
                let found = Members::at(file).running("teacher")?;
                Ok(found.iter().map(|member| member.url()).collect::<Vec<_>>().join(","))
            }
            (None, None) => Ok("http://127.0.0.1:8081".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use integration_tests::load::closed_loop;

    use super::*;

    #[tokio::test]
    async fn where_nothing_succeeds_nothing_is_offered() {
        let nobody = |_| async { Err(Status::unavailable("nobody")) };
        let load = closed_loop(1, Duration::from_millis(10), nobody);
        let (report, usage) = Machine::new(None).during(load).await.unwrap();
        assert!(peak(&[Row { what: String::new(), report, usage }]).unwrap_err().message().contains("succeeded"));
    }
}
