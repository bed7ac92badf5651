//! A brake on a model, and a counter of its work: tests hold a model at a known batch instead of guessing
//! with clocks how far it has come.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What a model has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Batches begun, the one that waits at the brake included.
    pub batch_count: usize,
    /// Images in those batches.
    pub image_count: usize,
    /// Whether a batch waits at the brake.
    pub is_held: bool,
}

/// Shared by a test and the engine thread of a model.
#[derive(Debug, Default)]
pub struct Brake {
    /// Batches that may pass in all; `None`: any number. Written by tests, waited for by the engine.
    limit: Mutex<Option<usize>>,
    changed: Condvar,
    /// Written by the engine thread, watched by tests.
    work: watch::Sender<Work>,
}

impl Brake {
    /// What has been done so far.
    pub fn work(&self) -> Work {
        *self.work.borrow()
    }

    /// Lets `more` batches pass from now on, and holds the one after them.
    pub fn hold_after(&self, more: usize) {
        *self.limit() = Some(self.work().batch_count + more);
    }

    /// Lets everything pass.
    pub fn release(&self) {
        *self.limit() = None;
        self.changed.notify_all();
    }

    /// Waits until a batch is held.
    pub async fn held(&self) -> Work {
        let mut work = self.work.subscribe();
        let held = work.wait_for(|work| work.is_held).await;
        *held.expect("the brake outlives its own watch")
    }

    /// Called by the model with every batch, on its engine thread.
    pub fn pass(&self, image_count: usize) {
        self.work.send_modify(|work| {
            work.batch_count += 1;
            work.image_count += image_count;
        });
        let mut limit = self.limit();
        while limit.is_some_and(|limit| self.work().batch_count > limit) {
            self.work.send_modify(|work| work.is_held = true);
            limit = self.changed.wait(limit).unwrap_or_else(PoisonError::into_inner);
        }
        self.work.send_if_modified(|work| std::mem::replace(&mut work.is_held, false));
    }

    fn limit(&self) -> MutexGuard<'_, Option<usize>> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
