//! What the catalog and the operations must find again after a restart.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Autoencoder, ResourceName, Result, Teacher};

use crate::operations::Operation;

/// Seconds since the Unix epoch, asked for where a record is made.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Records by name. Putting creates or replaces, whole or not at all.
#[async_trait]
pub trait Records: Send + Sync {
    /// All teachers, by name.
    async fn teachers(&self) -> Result<Vec<Teacher>>;

    /// Keeps a teacher.
    async fn put_teacher(&self, teacher: &Teacher) -> Result<()>;

    /// All autoencoders, by name.
    async fn autoencoders(&self) -> Result<Vec<Autoencoder>>;

    /// Keeps an autoencoder.
    async fn put_autoencoder(&self, autoencoder: &Autoencoder) -> Result<()>;

    /// All operations, in no order.
    async fn operations(&self) -> Result<Vec<Operation>>;

    /// Keeps an operation.
    async fn put_operation(&self, operation: &Operation) -> Result<()>;

    /// Forgets a teacher, an autoencoder or an operation; one that is not there is no error.
    async fn delete(&self, name: &ResourceName) -> Result<()>;
}
