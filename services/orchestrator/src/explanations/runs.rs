//! Questions that are being answered. Equal questions share one run; a run whose last listener leaves is
//! cancelled, and stops within one batch.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use domain::{Error, Result, Stage};
use runtime::call::Context;
use tokio::sync::watch;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::Instrument;

use super::memory::{Key, Memory, Turn, holding};
use crate::{
    explain::{Question, Snapshot, explain},
    ports::Models,
};

/// One run. Dropping the last `Arc` of it cancels the work.
pub struct Run {
    snapshots: watch::Receiver<Snapshot>,
    outcome: watch::Receiver<Option<Result<()>>>,
    _cancel_on_drop: Option<DropGuard>,
}

impl Run {
    /// How far it is, and every change of that.
    pub fn snapshots(&self) -> watch::Receiver<Snapshot> {
        self.snapshots.clone()
    }

    /// Waits for its end.
    pub async fn outcome(&self) -> Result<()> {
        let mut outcome = self.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await;
        match ended.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            _ => Err(Error::Cancelled),
        }
    }

    fn finished(snapshot: Snapshot) -> Self {
        let (_, snapshots) = watch::channel(snapshot);
        let (_, outcome) = watch::channel(Some(Ok(())));
        Self { snapshots, outcome, _cancel_on_drop: None }
    }
}

/// All runs of this process.
#[derive(Clone)]
pub struct Runs {
    models: Models,
    memory: Memory,
    /// Written by `join`, read by `join`; an entry whose run has gone is replaced or swept there.
    running: Arc<Mutex<HashMap<Key, Weak<Run>>>>,
    tasks: TaskTracker,
}

impl Runs {
    /// No runs yet. `tasks` owns what is spawned, so that a process can wait for its end.
    pub fn new(models: Models, memory: Memory, tasks: TaskTracker) -> Self {
        Self { models, memory, running: Arc::default(), tasks }
    }

    /// Joins the run of an equal question or begins one.
    pub async fn join(&self, question: Question) -> Arc<Run> {
        if let Some(answer) = self.memory.answer(&question).await {
            return Arc::new(Run::finished(answer));
        }
        let key = Key::answer(&question);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = running.get(&key).and_then(Weak::upgrade) {
            return run;
        }
        running.retain(|_, run| run.strong_count() > 0);
        let run = Arc::new(self.begin(question));
        running.insert(key, Arc::downgrade(&run));
        run
    }

    fn begin(&self, question: Question) -> Run {
        let cancellation = CancellationToken::new();
        let (progress, snapshots) = watch::channel(Snapshot::default());
        let (end, outcome) = watch::channel(None);
        let (models, memory, cancelled) = (self.models.clone(), self.memory.clone(), cancellation.clone());
        let span = tracing::info_span!(
            "explain",
            teacher.name = %question.teacher,
            autoencoder.name = %question.autoencoder,
            neighbor_count = question.neighborhood.neighbor_count,
        );
        let work = async move {
            let (answered, turn) = tokio::select! {
                ended = answer_once(&models, &memory, &question, &progress) => ended,
                () = cancelled.cancelled() => (Err(Error::Cancelled), Turn::Ours(None)),
            };
            let snapshot = progress.borrow().clone();
            let is_whole = answered.is_ok() && snapshot.stage == Stage::Complete;
            if snapshot.instance.is_some() {
                memory.keep_neighborhood(&question, snapshot.neighborhood.clone()).await;
            }
            if is_whole {
                memory.keep_answer(&question, snapshot.clone()).await;
            }
            end.send_replace(Some(answered));
            // Nobody here waits for this.
            if let Turn::Ours(held) = turn {
                memory.share(&question, &snapshot, is_whole, held).await;
            }
        };
        // Whoever asked first lends its name to the run, but not its deadline.
        let context = Context::current().unbounded();
        self.tasks.spawn(context.scope(work.instrument(span)));
        Run { snapshots, outcome, _cancel_on_drop: Some(cancellation.drop_guard()) }
    }
}

/// Answers a question, unless another replica has answered it or is about to. The lease that others wait
/// for is given back by the caller, when what was made is shared.
async fn answer_once(
    models: &Models,
    memory: &Memory,
    question: &Question,
    progress: &watch::Sender<Snapshot>,
) -> (Result<()>, Turn<()>) {
    let held = match memory.turn(question, progress).await {
        Turn::Found(answer) => {
            progress.send_replace(answer);
            return (Ok(()), Turn::Found(()));
        }
        Turn::Ours(held) => held,
    };
    let answered = holding(&held, async {
        tokio::select! {
            answered = explain(models, memory, question, progress) => answered,
            () = memory.tell(question, progress.subscribe()) => Err(Error::unexpected("telling ends with the run")),
        }
    });
    (answered.await, Turn::Ours(held))
}
