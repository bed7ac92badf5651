//! The teacher service as a process of its own.

use anyhow::Context;
use runtime::{config, shutdown, telemetry};
use teacher::Config;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = config::load();
    let telemetry = telemetry::init("teacher");
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let outcome = teacher::run(config, listener, shutdown::on_signal()).await;
    telemetry.shutdown().await;
    Ok(outcome?)
}
