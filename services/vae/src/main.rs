//! The process: telemetry, configuration, bind, run. Or one training.

use std::process::ExitCode;

use runtime::job;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut config: vae::Config = runtime::config::load();
    let telemetry = runtime::telemetry::init("vae");
    let shutdown = runtime::shutdown::on_signal();
    let code = match config.task.take() {
        Some(vae::Task::Train { config: file }) => job::exit_code(vae::train(config, file, shutdown).await),
        None => {
            let listener = TcpListener::bind(config.listen).await?;
            tracing::info!(address = %listener.local_addr()?, "listening");
            let outcome = vae::run(config, listener, shutdown).await;
            telemetry.shutdown().await;
            return Ok(outcome.map(|()| ExitCode::SUCCESS)?);
        }
    };
    telemetry.shutdown().await;
    Ok(code)
}
