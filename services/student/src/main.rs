//! The process: telemetry, configuration, bind, run.

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: student::Config = runtime::config::load();
    let telemetry = runtime::telemetry::init("student");
    let shutdown = runtime::shutdown::on_signal();
    let listener = TcpListener::bind(config.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let outcome = student::run(config, listener, shutdown).await;
    telemetry.shutdown().await;
    Ok(outcome?)
}
