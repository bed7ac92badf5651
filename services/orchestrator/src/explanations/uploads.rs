//! Uploads become images off the async threads, one at a time and callers in turn. Whoever nobody waits for any
//! more leaves, and counts until it has: a thread is held for each.

use std::time::{Duration, Instant};

use domain::{Error, Image, ImageShape, Result};
use runtime::{
    call::Context,
    gate::{Gate, Priority},
    places::Places,
};

use crate::upload;

/// Uploads that are decoded or wait for it. One more is answered QUEUE_FULL, and so is whoever has three for each
/// that may still come: alone 24.
const MAX_COUNT: usize = 32;
/// How long an upload may wait for its turn: a decoder takes a second for the largest file.
const DECODING_LIMIT: Duration = Duration::from_secs(20);
/// How often an upload that waits looks whether anybody still waits for it.
const PATIENCE: Duration = Duration::from_millis(20);

/// All uploads of this process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Uploads {
    /// Passed by the one that is decoded.
    pub(super) gate: Gate,
    /// One for each that is decoded or waits for it.
    places: Places,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { gate: Gate::new(), places: Places::new(MAX_COUNT) }
    }
}

impl Uploads {
    /// Decodes a PNG file for whoever this is done for.
    pub(super) async fn decode(&self, bytes: Vec<u8>, shape: ImageShape) -> Result<Image> {
        let full = || Error::QueueFull { engine: "uploads".into(), retry_after_ms: 2_000 };
        let (context, gate) = (Context::current(), self.gate.clone());
        let place = self.places.take(&context.caller).ok_or_else(full)?;
        let decode = move || {
            let _place = place;
            let give_up_at = Instant::now() + DECODING_LIMIT;
            let waiting = gate.enter_for(Priority::Interactive, &context.caller);
            let _turn = loop {
                context.check()?;
                if let Some(turn) = waiting.wait(PATIENCE) {
                    break turn;
                }
                if Instant::now() >= give_up_at {
                    return Err(full());
                }
            };
            upload::image_from_png(&bytes, shape)
        };
        tokio::task::spawn_blocking(decode).await.map_err(Error::unexpected)?
    }
}
