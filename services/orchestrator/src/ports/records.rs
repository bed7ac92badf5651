//! What the catalog and the operations must find again after a restart, and what every replica sees of it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use domain::{Autoencoder, ResourceName, Result, Teacher};

use crate::operations::Operation;

/// Seconds since the Unix epoch, asked for where a record is made.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Differs whenever a record was written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(pub String);

/// What there is, without what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// `teachers/{t}`.
    pub teachers: BTreeMap<ResourceName, Stamp>,
    /// `autoencoders/{a}`.
    pub autoencoders: BTreeMap<ResourceName, Stamp>,
    /// `operations/{o}`.
    pub operations: BTreeMap<ResourceName, Stamp>,
    /// Claims on operations, by operation.
    pub claims: BTreeMap<ResourceName, Stamp>,
    /// Heartbeats, by replica.
    pub replicas: BTreeMap<String, Stamp>,
    /// Requests to end work, by the operation's id.
    pub requests: BTreeMap<String, Stamp>,
}

/// Records by name, shared by all replicas. Putting creates or replaces, whole or not at all. One that
/// cannot be read is `None` and told in the log: it must not keep the others from being found.
#[async_trait]
pub trait Records: Send + Sync {
    /// Everything below the catalog's folder, in one look.
    async fn listing(&self) -> Result<Listing>;

    /// One teacher.
    async fn teacher(&self, name: &ResourceName) -> Result<Option<Teacher>>;

    /// Writes a teacher whose name is not taken; else `AlreadyExists`.
    async fn create_teacher(&self, teacher: &Teacher) -> Result<()>;

    /// Keeps a teacher.
    async fn put_teacher(&self, teacher: &Teacher) -> Result<()>;

    /// One autoencoder.
    async fn autoencoder(&self, name: &ResourceName) -> Result<Option<Autoencoder>>;

    /// Writes an autoencoder whose name is not taken; else `AlreadyExists`.
    async fn create_autoencoder(&self, autoencoder: &Autoencoder) -> Result<()>;

    /// Keeps an autoencoder.
    async fn put_autoencoder(&self, autoencoder: &Autoencoder) -> Result<()>;

    /// One operation.
    async fn operation(&self, name: &ResourceName) -> Result<Option<Operation>>;

    /// Keeps an operation.
    async fn put_operation(&self, operation: &Operation) -> Result<()>;

    /// Forgets a teacher, an autoencoder or an operation; one that is not there is no error.
    async fn delete(&self, name: &ResourceName) -> Result<()>;
}
