//! A soak in which programs are killed and stopped and the cache is lost: users may notice a moment of it.

use std::{path::Path, time::Duration};

use clap::Args;
use integration_tests::{
    faults::{Fault, Line, Outcome, Plan, kinds, soak},
    members::Members,
    trust::{Bar, Models},
};
use tonic::Status;

use super::super::numbers::mean;

/// Seconds for which a fault may last that ends when one likes. Calls wait 15 s for a replica that is silent, so that
/// what is stopped for less is a pause to them and no death.
const LONGEST_HOLD: u64 = 10;

/// After a fault's end: the five seconds in which it may be felt, and one in which it may not.
const SETTLE: Duration = Duration::from_secs(6);

#[derive(Args)]
#[group(id = "faults")]
pub(super) struct Options {
    /// Instead: one fault after the other while clients explain, ask again, distill, slide and look. One program of
    /// each kind but nginx is killed, or stopped for a moment; all students are killed at once; Redis is flushed, made
    /// read-only and made full. Needs Linux, the cluster's gRPC address (--server http://127.0.0.1:8081), and that the
    /// programs' supervisor starts them again. Do not interrupt it: a program may be left stopped
    #[arg(long = "faults", requires = "cluster")]
    are_wanted: bool,
    /// Seconds from one fault to the next; the next one waits until the first may no longer be felt
    #[arg(long, default_value_t = 15, requires = "are_wanted")]
    fault_every: u64,
    /// Seconds for which a program is stopped, or Redis read-only or full
    #[arg(long, default_value_t = 4, requires = "are_wanted", value_parser = clap::value_parser!(u64).range(1..=LONGEST_HOLD))]
    hold: u64,
    /// Order of the faults
    #[arg(long, default_value_t = 1, requires = "are_wanted")]
    seed: u64,
}

impl Options {
    pub(super) fn are_wanted(&self) -> bool {
        self.are_wanted
    }
}

/// The run, for names of what was left, and what was promised.
pub(super) async fn run(
    server: &str,
    models: &Models,
    examples: Vec<String>,
    cluster: &Path,
    options: &super::Options,
) -> Result<(u64, Vec<Bar>), Status> {
    let members = Members::at(cluster);
    let plan = Plan {
        server: server.to_owned(),
        models: models.clone(),
        examples,
        neighbor_count: options.neighbors,
        client_count: options.clients.max(1),
        faults: Fault::all(&kinds(&members)?),
        members,
        duration: Duration::from_secs_f64(options.minutes.max(0.0) * 60.0),
        every: Duration::from_secs(options.faults.fault_every),
        hold: Duration::from_secs(options.faults.hold),
        settle: SETTLE,
        seed: options.faults.seed,
    };
    println!(
        "{:>7}  {:<22} {:<24} {:>7} {:>9} {:>8} {:>8} {:>12}",
        "minute", "fault", "whom", "away s", "explained", "failures", "tail s", "resident MiB"
    );
    let outcome = soak(&plan, tell).await?;
    ending(&outcome);
    let verdict = outcome.verdict();
    Ok((outcome.run, verdict.bars(&outcome.seen, outcome.largest_mib)))
}

fn tell(line: &Line) {
    println!(
        "{:>7.1}  {:<22} {:<24} {:>7.1} {:>9} {:>8} {:>8.1} {:>12.1}",
        line.elapsed.as_secs_f64() / 60.0,
        line.injury.fault.to_string(),
        line.injury.victims.join(" "),
        (line.injury.ended - line.injury.began).as_secs_f64(),
        line.explained_count,
        line.failure_count,
        line.tail.as_secs_f64(),
        line.resident_mib,
    );
}

fn ending(outcome: &Outcome) {
    let seen = &outcome.seen;
    println!();
    for told in &seen.told {
        println!("  {told}");
    }
    println!(
        "{} faults, {} calls, {} of them failed, {} explanations: half within {} ms, 99 % within {} ms, all within {} ms",
        outcome.injuries.len(),
        seen.call_count,
        seen.failures.len(),
        seen.explained.len(),
        seen.explained.value_at_quantile(0.5),
        seen.explained.value_at_quantile(0.99),
        seen.explained.max(),
    );
    let away = mean(outcome.injuries.iter().map(|injury| (injury.ended - injury.began).as_secs_f64()));
    println!("a fault lasted {away:.1} s on average");
}
