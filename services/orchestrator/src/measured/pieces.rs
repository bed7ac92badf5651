//! A stage that is done piece by piece: pieces of a stage, and stages, overlap, so what counts is the time in
//! which at least one piece is under way.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{
    StreamExt,
    stream::{BoxStream, unfold},
};

use super::{Stage, stage_took};

/// The time in which at least one piece of a stage is under way. Clones share it.
#[derive(Clone)]
pub(crate) struct Pieces {
    stage: Stage,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    open: usize,
    opened_at: Option<Instant>,
    total: Duration,
}

impl Pieces {
    pub(crate) fn of(stage: Stage) -> Self {
        Self { stage, state: Arc::default() }
    }

    /// Does one piece, beside others perhaps.
    pub(crate) async fn time<T>(&self, piece: impl Future<Output = T>) -> T {
        let _open = Open::begin(self);
        piece.await
    }

    /// A stream for whose items somebody waits, each of them a piece.
    pub(crate) fn of_stream<T: Send + 'static>(&self, items: BoxStream<'static, T>) -> BoxStream<'static, T> {
        let next = |(mut items, pieces): (BoxStream<'static, T>, Self)| async move {
            let item = pieces.time(items.next()).await?;
            Some((item, (items, pieces)))
        };
        unfold((items, self.clone()), next).boxed()
    }

    /// The stage has been passed; one without pieces never came about.
    pub(crate) fn passed(&self) {
        let total = self.lock().total;
        if !total.is_zero() {
            stage_took(self.stage, total);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece under way. Also one that is dropped before its end is over then.
struct Open<'a>(&'a Pieces);

impl<'a> Open<'a> {
    fn begin(pieces: &'a Pieces) -> Self {
        let mut state = pieces.lock();
        if state.open == 0 {
            state.opened_at = Some(Instant::now());
        }
        state.open += 1;
        drop(state);
        Self(pieces)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open -= 1;
        if state.open == 0 {
            let took = state.opened_at.take().map_or(Duration::ZERO, |at| at.elapsed());
            state.total += took;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn pieces_that_overlap_count_once_and_pauses_not_at_all() {
        let pieces = Pieces::of(Stage::Labeling);
        let started_at = Instant::now();
        let long = Duration::from_millis(40);
        join(pieces.time(sleep(long)), pieces.time(sleep(long))).await;
        let busy = started_at.elapsed();
        sleep(Duration::from_millis(20)).await;
        drop(pieces.time(sleep(long)));
        let total = pieces.lock().total;
        // Twice 40 ms side by side: no less than the one, no more than what passed.
        assert!(long <= total && total <= busy, "{total:?} of {busy:?}");
        assert_eq!(pieces.lock().open, 0);
    }
}
