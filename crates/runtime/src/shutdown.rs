//! One token a process, cancelled by the first SIGTERM or Ctrl-C.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled when the process is asked to stop. Must be called on a tokio runtime.
pub fn on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        match signal().await {
            Ok(name) => tracing::info!(signal = name, "asked to stop"),
            // Without a handler the operating system ends the process; there is nothing to wait for.
            Err(error) => return tracing::warn!(%error, "signals cannot be handled"),
        }
        stop.cancel();
    });
    token
}

#[cfg(unix)]
async fn signal() -> std::io::Result<&'static str> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| "SIGINT"),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<&'static str> {
    tokio::signal::ctrl_c().await.map(|()| "Ctrl-C")
}
