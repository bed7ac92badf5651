//! The measurements on the real system, which has to run: each prints a table and fails when a bar does.
//! They speak to it as any client does, over the public API.
#![expect(clippy::print_stdout, reason = "a measurement speaks on the terminal")]

mod forward;
mod load;
mod numbers;
mod peer;
mod performance;
mod process;
mod soak;
mod training;
mod trust;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use integration_tests::{
    Api,
    trust::{Bar, Models},
};
use proto::raw::deeper::{catalog::v1 as catalog, types::v1::Architecture};
use tonic::Status;

/// Measures a running system (`cargo xtask up`) and holds it to its bars.
#[derive(Parser)]
#[command(name = "measure")]
struct Cli {
    #[command(subcommand)]
    which: Which,
    /// Address of the running system
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080")]
    server: String,
    /// The teacher, `teachers/{t}` [default: the first ResNet-50 that is ready]
    #[arg(long, global = true)]
    teacher: Option<String>,
    /// The autoencoder, `autoencoders/{a}` [default: the first that is ready]
    #[arg(long, global = true)]
    autoencoder: Option<String>,
}

#[derive(Subcommand)]
enum Which {
    Training(training::Options),
    #[command(flatten)]
    Running(Running),
}

/// What a running system is needed for.
#[derive(Subcommand)]
enum Running {
    Trust(trust::Options),
    Performance(performance::Options),
    Soak(soak::Options),
    Load(load::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(bars) if hold(&bars) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(status) => {
            eprintln!("error: {}: {}", status.code(), status.message());
            eprintln!("all but `training` need a running system whose models are ready: `cargo xtask up`");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<Vec<Bar>, Status> {
    let which = match cli.which {
        Which::Training(options) => return training::run(&options).await,
        Which::Running(which) => which,
    };
    let channel = runtime::channel::connect("orchestrator", &cli.server);
    let api = Api::over(channel.map_err(|error| Status::invalid_argument(error.to_string()))?);
    let models = models(&api, cli.teacher, cli.autoencoder).await?;
    let accuracy = models.teacher.accuracy.unwrap_or_default();
    println!("{} (accuracy {accuracy:.4}, {}), {}", models.teacher.name, models.teacher.engine, models.autoencoder);
    match which {
        Running::Trust(options) => trust::run(&api, &models, &options).await,
        Running::Performance(options) => performance::run(&api, &models, &options).await,
        Running::Load(options) => load::run(&api, &models, &options).await,
        Running::Soak(options) => soak::run(&cli.server, &api, &models, &options).await,
    }
}

async fn models(api: &Api, teacher: Option<String>, autoencoder: Option<String>) -> Result<Models, Status> {
    let mut client = api.catalog.clone();
    let teachers = client.list_teachers(catalog::ListTeachersRequest::default()).await?.into_inner().teachers;
    let is_wanted = |each: &catalog::Teacher| match &teacher {
        Some(name) => each.name == *name,
        None => each.architecture() == Architecture::Resnet50,
    };
    let ready = |state| state == catalog::ModelState::Ready;
    let found = teachers.into_iter().find(|each| is_wanted(each) && ready(each.state()));
    let teacher = found.ok_or_else(|| Status::failed_precondition("no such teacher is ready"))?;
    let all = client.list_autoencoders(catalog::ListAutoencodersRequest::default()).await?.into_inner().autoencoders;
    let is_wanted = |each: &catalog::Autoencoder| autoencoder.as_ref().is_none_or(|name| each.name == *name);
    let found = all.into_iter().find(|each| is_wanted(each) && ready(each.state()));
    let autoencoder = found.ok_or_else(|| Status::failed_precondition("no such autoencoder is ready"))?.name;
    Ok(Models { teacher, autoencoder })
}

/// Prints the table; whether all bars hold.
fn hold(bars: &[Bar]) -> bool {
    println!();
    for bar in bars {
        println!("{}", bar.line());
    }
    bars.iter().all(Bar::holds)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_whole() {
        Cli::command().debug_assert();
        for line in [
            "measure load --cluster programs.json --part overload --users 1,2 --arrivals even",
            "measure soak --minutes 0.5 --cluster programs.json",
            "measure soak --faults --cluster programs.json --fault-every 10 --hold 2 --seed 3",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in ["measure soak --faults", "measure soak --hold 2", "measure load --cluster programs.json --pid 1"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
