//! The owner's end of an operation.

use domain::{Error, Progress, ResourceName, Result};
use tokio_util::sync::CancellationToken;

use super::{Operation, Operations};

/// Held by whoever does the work. Dropped before [`OperationHandle::finish`], the operation fails.
pub struct OperationHandle {
    operations: Operations,
    name: ResourceName,
    ends: Ends,
    is_over: bool,
}

/// What can end the work before its time.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    /// Somebody asked for it.
    pub(super) cancelled: CancellationToken,
    /// Another replica may work on it now.
    pub(super) lost: CancellationToken,
}

impl OperationHandle {
    pub(super) fn new(operations: Operations, name: ResourceName, ends: Ends) -> Self {
        Self { operations, name, ends, is_over: false }
    }

    /// `operations/{o}`.
    pub fn name(&self) -> &ResourceName {
        &self.name
    }

    /// Cancelled when somebody asked for the end. The owner stops and finishes with `Cancelled`.
    pub fn cancellation(&self) -> CancellationToken {
        self.ends.cancelled.clone()
    }

    /// Cancelled when another replica may work on it. The owner stops and [`OperationHandle::abandon`]s it.
    pub fn loss(&self) -> CancellationToken {
        self.ends.lost.clone()
    }

    /// As everybody sees it now; `None` once it is gone.
    pub fn operation(&self) -> Option<Operation> {
        self.operations.get(&self.name).ok()
    }

    /// Tells how far the work is.
    pub fn report(&self, progress: Progress) {
        self.operations.report(&self.name, progress);
    }

    /// Ends the operation.
    pub fn finish(mut self, outcome: Result<()>) {
        self.is_over = true;
        self.operations.end(&self.name, outcome);
    }

    /// Lets go without an end: the process stops, or has lost its claim. Another one may resume it.
    pub fn abandon(mut self) {
        self.is_over = true;
        self.operations.let_go(&self.name);
    }

    /// Takes it back: it never came about, and nobody has heard of it.
    pub(crate) fn withdraw(mut self) {
        self.is_over = true;
        self.operations.withdraw(&self.name);
    }
}

impl Drop for OperationHandle {
    fn drop(&mut self) {
        if !self.is_over {
            self.operations.end(&self.name, Err(Error::unexpected("the work ended without an outcome")));
        }
    }
}
