//! The teacher service as a process of its own, or one training of it.

use std::process::ExitCode;

use anyhow::Context;
use runtime::{config, job, shutdown, telemetry};
use teacher::{Config, Task};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut config: Config = config::load();
    let telemetry = telemetry::init("teacher");
    let shutdown = shutdown::on_signal();
    let code = match config.task.take() {
        Some(Task::Train { config: file }) => job::exit_code(teacher::train(config, file, shutdown).await),
        None => {
            let listener = TcpListener::bind(config.listen).await;
            let listener = listener.with_context(|| format!("cannot listen on {}", config.listen))?;
            tracing::info!(address = %listener.local_addr()?, "listening");
            let outcome = teacher::run(config, listener, shutdown).await;
            telemetry.shutdown().await;
            return Ok(outcome.map(|()| ExitCode::SUCCESS)?);
        }
    };
    telemetry.shutdown().await;
    Ok(code)
}
