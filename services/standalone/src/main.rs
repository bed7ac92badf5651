//! The process `deeper`: telemetry, configuration, bind, run.

use anyhow::Context;
use runtime::{
    config::{self, cpu_count},
    shutdown, telemetry,
};
use standalone::Config;
use tokio::{net::TcpListener, runtime::Builder};

fn main() -> anyhow::Result<()> {
    let config: Config = config::load();
    // Some work blocks one of these threads while another one answers.
    let runtime = Builder::new_multi_thread().worker_threads(cpu_count().max(2)).enable_all().build()?;
    runtime.block_on(async {
        let telemetry = telemetry::init("deeper");
        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        tracing::info!("ready on http://{}", listener.local_addr()?);
        let outcome = standalone::run(config, listener, shutdown::on_signal()).await;
        telemetry.shutdown().await;
        Ok(outcome?)
    })
}
