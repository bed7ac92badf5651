//! One explanation in memory: what its watchers see, and what its neighbors and students are.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::{Error, Explanation, ExplanationState, ResourceName, Result, Stage, Student};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{neighborhood::Neighborhood, runs::Runs};
use crate::explain::{Question, Snapshot};

/// One explanation.
pub struct Live {
    name: ResourceName,
    /// Written by `follow`, read by every watcher.
    explanation: watch::Sender<Arc<Explanation>>,
    /// Written by `follow`.
    latest: Mutex<Snapshot>,
    /// Students beside the first one, oldest first. Written by `add_student`.
    students: Mutex<Vec<Arc<Student>>>,
    /// Names of students that are being fitted. Written by `reserve`, cleared by `Reservation`.
    reserved: Arc<Mutex<HashSet<ResourceName>>>,
    question: Option<Question>,
    /// Whether this is not the first time it is computed: its success is on record.
    has_succeeded_before: bool,
    /// Whether its creator has begun it here, and pays for it.
    is_counted: bool,
    cancellation: CancellationToken,
    /// Set by `forget`, read by whoever would store its end.
    forgotten: AtomicBool,
}

impl Live {
    /// One that is about to run, for the first time or once more.
    pub(super) fn begun(explanation: Explanation, question: Question) -> Self {
        let has_succeeded_before = explanation.state == ExplanationState::Succeeded;
        let from_the_start = Explanation {
            state: ExplanationState::Queued,
            stage: Stage::Encoding,
            labeled_neighbor_count: 0,
            ..explanation
        };
        Self { has_succeeded_before, ..Self::new(from_the_start, Some(question)) }
    }

    /// The same, of its creator's share.
    pub(super) fn counted(self) -> Self {
        Self { is_counted: true, ..self }
    }

    /// One that ended otherwise than well: there is nothing to compute.
    pub(super) fn ended(explanation: Explanation) -> Self {
        Self::new(explanation, None)
    }

    fn new(explanation: Explanation, question: Option<Question>) -> Self {
        Self {
            name: explanation.name.clone(),
            explanation: watch::Sender::new(Arc::new(explanation)),
            latest: Mutex::default(),
            students: Mutex::default(),
            reserved: Arc::default(),
            question,
            has_succeeded_before: false,
            is_counted: false,
            cancellation: CancellationToken::new(),
            forgotten: AtomicBool::new(false),
        }
    }

    /// `explanations/{x}`.
    pub fn name(&self) -> &ResourceName {
        &self.name
    }

    /// As it is now.
    pub fn current(&self) -> Arc<Explanation> {
        self.explanation.borrow().clone()
    }

    /// As it is now, and every change of that.
    pub fn watch(&self) -> watch::Receiver<Arc<Explanation>> {
        self.explanation.subscribe()
    }

    /// Neighbors that are labelled so far.
    pub fn neighborhood(&self) -> Neighborhood {
        self.latest().neighborhood
    }

    /// Asks it to stop.
    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// Asks it to stop because it was deleted.
    pub(super) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
        self.cancel();
    }

    /// Whether it was deleted.
    pub(super) fn is_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// Whether it is computed once more after a success, and has not come to it again.
    pub(super) fn is_repetition(&self) -> bool {
        self.has_succeeded_before && self.current().state != ExplanationState::Succeeded
    }

    /// Whether it is of its creator's share.
    pub(super) fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// Waits for its end and tells what its students can be made from.
    pub async fn finished(&self) -> Result<(Question, Snapshot)> {
        let mut watch = self.watch();
        let ended = watch.wait_for(|explanation| explanation.is_done()).await.map_err(Error::unexpected)?.clone();
        match (&ended.state, &self.question) {
            (ExplanationState::Succeeded, Some(question)) => Ok((question.clone(), self.latest())),
            (ExplanationState::Failed(Error::Unexpected(_)), _) => Err(self.not_complete("failed on our side")),
            (ExplanationState::Failed(error), _) => Err(self.not_complete(&format!("failed: {error}"))),
            _ => Err(self.not_complete("was cancelled")),
        }
    }

    /// All students, the first one first.
    pub fn students(&self) -> Vec<Arc<Student>> {
        let first = self.current().student.clone().map(Arc::new);
        let more = self.students.lock().unwrap_or_else(PoisonError::into_inner);
        first.into_iter().chain(more.iter().cloned()).collect()
    }

    /// Keeps a student's name for one caller until the reservation is dropped; `None` if another has it.
    pub(super) fn reserve(&self, name: &ResourceName) -> Option<Reservation> {
        let is_new = self.reserved.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        is_new.then(|| Reservation { name: name.clone(), reserved: Arc::clone(&self.reserved) })
    }

    /// Adds a student, or replaces the one of the same name.
    pub(super) fn add_student(&self, student: Arc<Student>) {
        let mut students = self.students.lock().unwrap_or_else(PoisonError::into_inner);
        students.retain(|other| other.name != student.name);
        students.push(student);
    }

    /// Joins the run of its question and publishes every step until the end.
    pub(super) async fn follow(&self, runs: Runs, question: Question) {
        let run = runs.join(question).await;
        let mut snapshots = run.snapshots();
        let ended = loop {
            self.publish(&snapshots.borrow_and_update().clone());
            tokio::select! {
                () = self.cancellation.cancelled() => break Err(Error::Cancelled),
                outcome = run.outcome() => break outcome,
                Ok(()) = snapshots.changed() => {}
            }
        };
        self.publish(&snapshots.borrow_and_update().clone());
        // The run is let go before the end is told: whoever hears of a cancellation finds it under way.
        drop(run);
        self.explanation.send_modify(|explanation| {
            Arc::make_mut(explanation).state = match ended {
                Ok(()) => ExplanationState::Succeeded,
                Err(Error::Cancelled) => ExplanationState::Cancelled,
                Err(error) => ExplanationState::Failed(error),
            };
        });
    }

    fn publish(&self, snapshot: &Snapshot) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = snapshot.clone();
        self.explanation.send_modify(|explanation| {
            let explanation = Arc::make_mut(explanation);
            explanation.state = ExplanationState::Running;
            explanation.stage = snapshot.stage;
            explanation.labeled_neighbor_count = snapshot.neighborhood.len();
            if let Some(instance) = snapshot.instance.as_ref().filter(|_| explanation.latent.is_none()) {
                instance.describe(explanation);
            }
            let shown = explanation.student.as_ref().map(|shown| (shown.neighbor_count, &shown.fidelity));
            let is_new = |student: &&Arc<Student>| shown != Some((student.neighbor_count, &student.fidelity));
            if let Some(student) = snapshot.student.as_ref().filter(is_new) {
                let name = self.name.child("students", "default").expect("default is an id");
                explanation.student = Some(Student { name, ..Student::clone(student) });
            }
        });
    }

    fn not_complete(&self, why: &str) -> Error {
        Error::FailedPrecondition {
            reason: "EXPLANATION_NOT_COMPLETE",
            subject: self.name.to_string(),
            description: format!("the explanation {why}; create another one"),
        }
    }

    fn latest(&self) -> Snapshot {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A student's name, kept for one caller.
pub(super) struct Reservation {
    name: ResourceName,
    reserved: Arc<Mutex<HashSet<ResourceName>>>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
