//! The owner's end of an operation.

use domain::{Error, Progress, ResourceName, Result};
use tokio_util::sync::CancellationToken;

use super::{Operation, Operations};

/// Held by whoever does the work. Dropped before [`OperationHandle::finish`], the operation fails.
pub struct OperationHandle {
    operations: Operations,
    name: ResourceName,
    cancellation: CancellationToken,
    is_over: bool,
}

impl OperationHandle {
    pub(super) fn new(operations: Operations, name: ResourceName, cancellation: CancellationToken) -> Self {
        Self { operations, name, cancellation, is_over: false }
    }

    /// `operations/{o}`.
    pub fn name(&self) -> &ResourceName {
        &self.name
    }

    /// Cancelled when somebody asked for the end. The owner stops and finishes with `Cancelled`.
    pub fn cancellation(&self) -> CancellationToken {
        self.cancellation.clone()
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

    /// Lets go without an end, because the process stops: the next process may resume it.
    pub fn abandon(mut self) {
        self.is_over = true;
    }
}

impl Drop for OperationHandle {
    fn drop(&mut self) {
        if !self.is_over {
            self.operations.end(&self.name, Err(Error::unexpected("the work ended without an outcome")));
        }
    }
}
