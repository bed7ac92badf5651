//! A distillation that outlives the replica that fits it: chunks are kept until the end, and another replica
//! is told all of them again. Fits are deterministic, so that nobody sees the difference.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Result;
use futures::{Stream, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use runtime::retry::Patience;
use tokio::sync::{mpsc, watch};

use crate::ports::{DistillationAnswer, LabeledChunk};

type Answers = BoxStream<'static, Result<DistillationAnswer>>;
/// Opens a distillation that is told these chunks.
type Open = Box<dyn Fn(BoxStream<'static, LabeledChunk>) -> BoxFuture<'static, Result<Answers>> + Send>;

/// Every chunk so far. Bounded by the neighborhood, which is kept anyway.
#[derive(Default)]
struct Log {
    /// Written by the one who replays, read by the requests of the open call.
    chunks: Mutex<Vec<LabeledChunk>>,
    /// The number of chunks, and whether they are all.
    written: watch::Sender<(usize, bool)>,
}

struct Replaying {
    open: Open,
    answers: Answers,
    /// `None` once the last chunk has come.
    waiting: Option<mpsc::Receiver<LabeledChunk>>,
    log: Arc<Log>,
    /// Neighbors of the last student that was given on.
    fitted_count: usize,
    patience: Patience,
}

/// Answers to the chunks that come through `waiting`. A first failure that a moment cannot fix is told at
/// once, later ones in the stream.
pub(super) async fn replaying(
    waiting: mpsc::Receiver<LabeledChunk>,
    open: impl Fn(BoxStream<'static, LabeledChunk>) -> BoxFuture<'static, Result<Answers>> + Send + 'static,
) -> Result<impl Stream<Item = Result<DistillationAnswer>> + Send + 'static> {
    let mut replaying = Replaying {
        open: Box::new(open),
        answers: stream::empty().boxed(),
        waiting: Some(waiting),
        log: Arc::default(),
        fitted_count: 0,
        patience: Patience::default(),
    };
    replaying.begin().await?;
    Ok(stream::try_unfold(replaying, |mut replaying| async {
        let answer = replaying.next().await?;
        Ok(answer.map(|answer| (answer, replaying)))
    }))
}

impl Replaying {
    async fn begin(&mut self) -> Result<()> {
        loop {
            let chunks = Log::replay(Arc::clone(&self.log), self.fitted_count).boxed();
            match (self.open)(chunks).await {
                Ok(answers) => {
                    self.answers = answers;
                    return Ok(());
                }
                Err(error) => self.patience.after(error).await?,
            }
        }
    }

    async fn next(&mut self) -> Result<Option<DistillationAnswer>> {
        loop {
            let answer = tokio::select! {
                answer = self.answers.next() => answer,
                chunk = next_chunk(&mut self.waiting) => {
                    self.log.write(chunk);
                    continue;
                }
            };
            let error = match answer {
                None => return Ok(None),
                Some(Ok(answer)) => {
                    self.patience.progress();
                    if let DistillationAnswer::Student(student) = &answer {
                        self.fitted_count = student.neighbor_count;
                    }
                    return Ok(Some(answer));
                }
                Some(Err(error)) => error,
            };
            tracing::info!(%error, fitted_count = self.fitted_count, "a distillation goes on elsewhere");
            self.patience.after(error).await?;
            self.begin().await?;
        }
    }
}

/// The next chunk, or `None` once when there are no more; pending after that.
async fn next_chunk(waiting: &mut Option<mpsc::Receiver<LabeledChunk>>) -> Option<LabeledChunk> {
    let Some(receiver) = waiting else { return std::future::pending().await };
    let chunk = receiver.recv().await;
    if chunk.is_none() {
        *waiting = None;
    }
    chunk
}

impl Log {
    /// `None`: there are no more.
    fn write(&self, chunk: Option<LabeledChunk>) {
        let mut chunks = self.lock();
        let is_whole = chunk.is_none();
        chunks.extend(chunk);
        self.written.send_replace((chunks.len(), is_whole));
    }

    /// All chunks from the first on, as they are written. No student is asked for that was there before.
    fn replay(log: Arc<Self>, fitted_count: usize) -> impl Stream<Item = LabeledChunk> + Send + 'static {
        let written = log.written.subscribe();
        stream::unfold((log, written, 0, 0), move |(log, mut written, index, told_count)| async move {
            let (count, _) = *written.wait_for(|(count, is_whole)| *count > index || *is_whole).await.ok()?;
            if index >= count {
                return None;
            }
            let mut chunk = log.lock().get(index)?.clone();
            let told_count = told_count + chunk.logits.len();
            chunk.fit &= told_count > fitted_count;
            Some((chunk, (log, written, index + 1, told_count)))
        })
    }

    /// The list is whole after every statement, so a panic elsewhere leaves nothing to repair.
    fn lock(&self) -> MutexGuard<'_, Vec<LabeledChunk>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use domain::{Error, ImageBatch, ImageShape, Logits};
    use futures::{FutureExt, TryStreamExt};

    use super::*;
    use crate::ports::FitProgress;

    fn chunk(count: usize) -> LabeledChunk {
        let images = ImageBatch::new(ImageShape::new(1, 1, 1).unwrap(), vec![0; count]).unwrap();
        let logits = vec![Logits::new(vec![0.0, 1.0]).unwrap(); count];
        LabeledChunk { images, logits, fit: true }
    }

    fn heard(count: usize) -> DistillationAnswer {
        DistillationAnswer::Progress(FitProgress { iteration: count as u32, iteration_count: 0, loss: 0.0 })
    }

    /// A replica that tells how many neighbors have come after each chunk, and dies after the second one, the
    /// first `death_count` times. `opened` counts how often it was asked.
    fn mortal(death_count: usize, opened: Arc<Mutex<usize>>) -> Open {
        Box::new(move |chunks| {
            *opened.lock().unwrap() += 1;
            let dies = *opened.lock().unwrap() <= death_count;
            let mut told = 0;
            let answers = chunks.enumerate().map(move |(index, chunk)| {
                told += chunk.logits.len();
                if dies && index == 1 {
                    return Err(Error::UpstreamUnavailable { service: "student".into() });
                }
                Ok(heard(told))
            });
            async move { Ok(answers.boxed()) }.boxed()
        })
    }

    async fn counts(death_count: usize) -> (Result<Vec<u32>>, usize) {
        let (sender, waiting) = mpsc::channel(1);
        let opened = Arc::new(Mutex::new(0));
        let answers = replaying(waiting, mortal(death_count, Arc::clone(&opened))).await.unwrap();
        let feed = async move {
            for count in [1, 2, 4] {
                sender.send(chunk(count)).await.unwrap();
            }
        };
        let count = |answer| match answer {
            DistillationAnswer::Progress(progress) => progress.iteration,
            DistillationAnswer::Student(_) => 0,
        };
        let (counts, ()) = tokio::join!(answers.map_ok(count).try_collect(), feed);
        let opened = *opened.lock().unwrap();
        (counts, opened)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_over_is_told_everything_again() {
        assert_eq!(counts(0).await, (Ok(vec![1, 3, 7]), 1));
        assert_eq!(counts(2).await, (Ok(vec![1, 1, 1, 3, 7]), 3));
    }

    #[tokio::test]
    async fn what_was_fitted_is_not_fitted_again() {
        let log = Arc::new(Log::default());
        for count in [1, 2, 4] {
            log.write(Some(chunk(count)));
        }
        log.write(None);
        let told: Vec<LabeledChunk> = Log::replay(log, 3).collect().await;
        assert_eq!(told.iter().map(|chunk| chunk.fit).collect::<Vec<_>>(), [false, false, true]);
    }
}
