//! A stream of neighbors that outlives the replica that makes it: each neighbor depends on its index alone, so
//! that another replica goes on with the next one.

use domain::{Error, Result};
use futures::{Stream, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use runtime::retry::Patience;

use crate::ports::NeighborChunk;

/// Opens the rest of a stream: from this index on, in chunks of these sizes, of which the last repeats.
type Open = Box<dyn Fn(usize, Vec<usize>) -> BoxFuture<'static, Result<Chunks>> + Send>;
type Chunks = BoxStream<'static, Result<NeighborChunk>>;

struct Resuming {
    open: Open,
    chunks: Chunks,
    next_index: usize,
    sizes: Vec<usize>,
    patience: Patience,
}

/// Neighbors from `start_index` on. A first failure that a moment cannot fix is told at once, later ones in
/// the stream; the same chunks come, wherever it broke.
pub(super) async fn resuming(
    start_index: usize,
    sizes: &[usize],
    open: impl Fn(usize, Vec<usize>) -> BoxFuture<'static, Result<Chunks>> + Send + 'static,
) -> Result<impl Stream<Item = Result<NeighborChunk>> + Send + 'static> {
    let mut resuming = Resuming {
        open: Box::new(open),
        chunks: stream::empty().boxed(),
        next_index: start_index,
        sizes: sizes.to_vec(),
        patience: Patience::default(),
    };
    resuming.begin().await?;
    Ok(stream::try_unfold(resuming, |mut resuming| async {
        let chunk = resuming.next().await?;
        Ok(chunk.map(|chunk| (chunk, resuming)))
    }))
}

impl Resuming {
    async fn begin(&mut self) -> Result<()> {
        loop {
            match (self.open)(self.next_index, self.sizes.clone()).await {
                Ok(chunks) => {
                    self.chunks = chunks;
                    return Ok(());
                }
                Err(error) => self.patience.after(error).await?,
            }
        }
    }

    async fn next(&mut self) -> Result<Option<NeighborChunk>> {
        loop {
            let error = match self.chunks.next().await {
                None => return Ok(None),
                Some(Ok(chunk)) if chunk.start_index != self.next_index => {
                    let (got, expected) = (chunk.start_index, self.next_index);
                    return Err(Error::unexpected(format!("neighbor {got} came instead of {expected}")));
                }
                Some(Ok(chunk)) => {
                    self.patience.progress();
                    self.next_index += chunk.images.len();
                    if self.sizes.len() > 1 {
                        self.sizes.remove(0);
                    }
                    return Ok(Some(chunk));
                }
                Some(Err(error)) => error,
            };
            tracing::info!(%error, next_index = self.next_index, "a stream of neighbors goes on elsewhere");
            self.patience.after(error).await?;
            self.begin().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use domain::{ImageBatch, ImageShape};
    use futures::{FutureExt, TryStreamExt};

    use super::*;

    fn gone() -> Error {
        Error::UpstreamUnavailable { service: "vae".into() }
    }

    fn chunk(start_index: usize, count: usize) -> NeighborChunk {
        let shape = ImageShape::new(1, 1, 1).unwrap();
        let images = ImageBatch::new(shape, vec![0; count]).unwrap();
        NeighborChunk { start_index, points: vec![vec![0.0]; count], images }
    }

    /// Breaks after every second chunk; fails for good at its `last_try`. The openings are noted.
    async fn check(last_try: usize, expected: Result<Vec<(usize, usize)>>, openings: &[(usize, &[usize])]) {
        let seen = Arc::new(Mutex::new(Vec::<(usize, Vec<usize>)>::new()));
        let noted = Arc::clone(&seen);
        let open = move |start: usize, sizes: Vec<usize>| {
            noted.lock().unwrap().push((start, sizes.clone()));
            let is_last = noted.lock().unwrap().len() == last_try;
            async move {
                let first = chunk(start, sizes[0]);
                let second = chunk(start + sizes[0], sizes[1.min(sizes.len() - 1)]);
                let end = if is_last { Error::unexpected("a bug") } else { gone() };
                let whole = start + first.images.len() + second.images.len() >= 10;
                let chunks = vec![Ok(first), Ok(second)].into_iter().chain((!whole).then_some(Err(end)));
                Ok(stream::iter(chunks).boxed())
            }
            .boxed()
        };
        let chunks = resuming(0, &[1, 2, 3], open).await.unwrap();
        let came = chunks.map_ok(|chunk| (chunk.start_index, chunk.images.len())).try_collect::<Vec<_>>().await;
        assert_eq!(came, expected);
        let seen = seen.lock().unwrap();
        let seen: Vec<(usize, &[usize])> = seen.iter().map(|(start, sizes)| (*start, sizes.as_slice())).collect();
        assert_eq!(seen, openings);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_stream_goes_on_with_the_next_neighbor() {
        let chunks = vec![(0, 1), (1, 2), (3, 3), (6, 3), (9, 3), (12, 3)];
        check(9, Ok(chunks), &[(0, &[1, 2, 3]), (3, &[3]), (9, &[3])]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_moment_cannot_fix_ends_it() {
        check(2, Err(Error::unexpected("a bug")), &[(0, &[1, 2, 3]), (3, &[3])]).await;
    }
}
