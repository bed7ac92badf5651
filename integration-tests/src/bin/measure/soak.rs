//! Explanation after explanation: memory must not grow and answers must not slow down.

use std::time::Instant;

use clap::Args;
use integration_tests::{
    Api,
    load::resident_mib,
    trust::{Bar, Models, drawn, explain, forget, misclassified},
};
use proto::raw::deeper::types::v1 as types;
use tonic::Status;

/// Explanations after which caches have their size and memory is counted from.
const WARM_UP: usize = 20;
/// Explanations between two lines of the table.
const LINE_EVERY: usize = 10;
/// What the whole standalone process may take while it explains: 2.5 GiB.
const MAX_RESIDENT_MIB: f64 = 2.5 * 1_024.0;

/// Memory and speed over many explanations
#[derive(Args)]
pub(super) struct Options {
    /// Explanations
    #[arg(long, default_value_t = 300)]
    count: usize,
    /// Process id of the system, for its memory [default: memory is not measured]
    #[arg(long)]
    pid: Option<u32>,
}

pub(super) async fn run(api: &Api, models: &Models, options: &Options) -> Result<Vec<Bar>, Status> {
    let examples = drawn(misclassified(api, &models.teacher).await?, 3, usize::MAX);
    let mut times = Vec::new();
    let mut memory: Vec<f64> = Vec::new();
    println!("{:>8} {:>10} {:>12}", "done", "ms each", "resident MiB");
    for (index, example) in examples.iter().cycle().take(options.count).enumerate() {
        let start = Instant::now();
        let noise = types::NeighborhoodSpec { seed: Some(1_000 + index as u64), ..Default::default() };
        let explanation = explain(api, models, example, noise, types::StudentSpec::default()).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        // Every third one stays, as users leave them.
        if index % 3 != 0 {
            forget(api, &explanation).await?;
        }
        if (index + 1) % LINE_EVERY == 0 {
            let resident = options.pid.and_then(resident_mib).unwrap_or(f64::NAN);
            memory.extend((index >= WARM_UP).then_some(resident));
            let recent = &times[times.len() - LINE_EVERY..];
            println!("{:>8} {:>10.1} {resident:>12.1}", index + 1, mean(recent));
        }
    }
    let half = times.len() / 2;
    let mut bars =
        vec![Bar::at_most("mean time, second half to first half", mean(&times[half..]) / mean(&times[..half]), 1.15)];
    if options.pid.is_some() {
        let half = memory.len() / 2;
        let largest = memory.iter().copied().fold(f64::NAN, f64::max);
        bars.push(Bar::at_most("largest resident memory, in MiB", largest, MAX_RESIDENT_MIB));
        let growth = mean(&memory[half..]) - mean(&memory[..half]);
        bars.push(Bar::at_most("resident memory, second half less first half, in MiB", growth, 100.0));
    }
    Ok(bars)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
