//! What users get who ask for one explanation after the other: material for sizing a system.

use std::{sync::Arc, time::Duration};

use integration_tests::{
    Api,
    known::Numbers,
    load::closed_loop,
    trust::{Bar, Models, drawn, forget, misclassified},
};
use proto::raw::deeper::{
    explanation::v1::{self as raw, State, instance::Source},
    types::v1 as types,
};
use runtime::call::Context;
use tonic::Status;

use super::{Machine, Options};

/// Which images.
const SEED: u64 = 4;
/// For one explanation: the longest time that a report tells apart.
const LIMIT: Duration = Duration::from_secs(600);

/// Asks for explanations that nobody had before.
#[derive(Clone)]
struct Asking {
    api: Api,
    models: Models,
    examples: Arc<Vec<String>>,
    neighbor_count: u32,
    /// Part of every name and seed, so that no run meets another one's.
    run: u64,
}

pub(super) async fn run(
    api: &Api,
    models: &Models,
    machine: &Machine,
    replica_count: usize,
    options: &Options,
) -> Result<Vec<Bar>, Status> {
    let examples = drawn(misclassified(api, &models.teacher).await?, SEED, usize::MAX);
    if examples.is_empty() {
        return Err(Status::failed_precondition("the teacher makes no mistakes"));
    }
    let run = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64;
    let asking = Asking {
        api: api.clone(),
        models: models.clone(),
        examples: Arc::new(examples),
        neighbor_count: options.neighbors,
        run,
    };
    // Each replica loads its models with its first explanation.
    for index in 0..4 * replica_count as u64 {
        asking.clone().explain(index).await?;
    }
    println!();
    println!(
        "{:>6} {:>13} {:>10} {:>18} {:>9} {:>9} {:>8} {:>7} {:>8} {:>7} {:>6}",
        "users",
        "explanations",
        "a minute",
        "a minute, teacher",
        "p50 ms",
        "p99 ms",
        "refused",
        "failed",
        "MiB",
        "system",
        "we"
    );
    let mut failed = 0;
    for (index, users) in options.users.iter().enumerate() {
        // Seeds of its own for each number of users.
        let asking = Asking { run: asking.run.wrapping_add((index as u64 + 1) << 40), ..asking.clone() };
        let call = move |index| asking.clone().explain(index);
        let duration = Duration::from_secs(options.user_seconds);
        let (report, usage) = machine.during(closed_loop(*users, duration, call)).await?;
        let a_minute = 60.0 * report.goodput();
        println!(
            "{users:>6} {:>13} {a_minute:>10.1} {:>18.1} {:>9.0} {:>9.0} {:>8} {:>7} {:>8.1} {:>7.2} {:>6.2}",
            report.succeeded.len(),
            a_minute / replica_count as f64,
            report.success_ms(0.5),
            report.success_ms(0.99),
            report.refused.len(),
            report.failed.len(),
            usage.resident_mib,
            usage.system_cores,
            usage.own_cores,
        );
        failed += report.failed.len();
    }
    println!(
        "a teacher that answers n explanations a minute is enough for n users who ask for one a minute each; of fewer \
         than 100 explanations the p99 is the longest"
    );
    Ok(vec![Bar::at_most("explanations that failed", failed as f64, 0.0)])
}

impl Asking {
    async fn explain(self, index: u64) -> Result<(), Status> {
        let seed = self.run.wrapping_add(index);
        let example = self.examples[(Numbers::new(seed).unit() * self.examples.len() as f64) as usize].clone();
        let request = raw::CreateExplanationRequest {
            explanation_id: format!("load-{seed}"),
            teacher: self.models.teacher.name.clone(),
            autoencoder: self.models.autoencoder.clone(),
            instance: Some(raw::Instance { source: Some(Source::Example(example)) }),
            neighborhood: Some(types::NeighborhoodSpec {
                neighbor_count: Some(self.neighbor_count),
                seed: Some(seed),
                ..Default::default()
            }),
            ..Default::default()
        };
        let asked = async {
            let explanation = self.api.explain(request).await?;
            forget(&self.api, &explanation).await?;
            Ok::<_, Status>(explanation)
        };
        let explanation = Context::default().within(LIMIT).scope(asked).await?;
        match (explanation.state(), explanation.error) {
            (State::Succeeded, _) => Ok(()),
            (_, Some(error)) => Err(Status::new(error.code.into(), error.message)),
            (state, None) => Err(Status::aborted(format!("it ended as {}", state.as_str_name()))),
        }
    }
}
