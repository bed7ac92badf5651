//! The orchestrator as a process of its own.

use anyhow::Context;
use orchestrator::Config;
use runtime::{config, shutdown, telemetry};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = config::load();
    let telemetry = telemetry::init("orchestrator");
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let outcome = orchestrator::run(config, listener, shutdown::on_signal()).await;
    telemetry.shutdown().await;
    Ok(outcome?)
}
