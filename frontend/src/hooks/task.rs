//! Work that ends with its owner.

use std::future::Future;

use futures::future::{AbortHandle, Abortable};

/// A future on the page's event loop. Dropping the task drops the future, and with it its call.
#[derive(Debug)]
pub struct Task(AbortHandle);

impl Task {
    /// Starts it.
    pub fn spawn(work: impl Future<Output = ()> + 'static) -> Self {
        let (handle, registration) = AbortHandle::new_pair();
        wasm_bindgen_futures::spawn_local(async move {
            // An aborted future has nobody left to tell.
            let _ = Abortable::new(work, registration).await;
        });
        Self(handle)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
