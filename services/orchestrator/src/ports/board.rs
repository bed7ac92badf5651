//! Where replicas tell each other who does what. Its rules are in `replicas`.

use async_trait::async_trait;
use domain::{ResourceName, Result};

/// Heartbeats, claims and requests. What is on it is listed with the records.
#[async_trait]
pub trait Board: Send + Sync {
    /// Shows that a replica is alive: its heartbeat's stamp moves.
    async fn beat(&self, replica: &str, count: u64) -> Result<()>;

    /// Takes a heartbeat off the board: a replica's own, or that of one that is long dead.
    async fn leave(&self, replica: &str) -> Result<()>;

    /// Takes a replica's heartbeat off the board if its process is known to have ended; says whether it is.
    /// `false` tells nothing: only a folder shows it.
    async fn bury(&self, replica: &str) -> Result<bool>;

    /// Whose an operation is.
    async fn owner(&self, operation: &ResourceName) -> Result<Option<String>>;

    /// Makes an operation `replica`'s if it is `from`'s, or nobody's where that is `None`; says whether it did.
    async fn claim(&self, operation: &ResourceName, replica: &str, from: Option<&str>) -> Result<bool>;

    /// Takes a claim off the board.
    async fn release(&self, operation: &ResourceName) -> Result<()>;

    /// Asks whoever does this work to end it. `id` is the operation's.
    async fn request_end(&self, id: &str) -> Result<()>;

    /// Takes a request off the board.
    async fn forget_request(&self, id: &str) -> Result<()>;
}
