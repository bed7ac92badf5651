//! Explanations as resources: made once, watched by many, remembered as small documents and computed again
//! when only the document is left.

pub mod chosen;
mod endings;
pub mod instance;
mod known;
mod live;
mod looks;
pub mod memory;
pub mod neighborhood;
mod outcomes;
pub mod questions;
pub mod runs;
mod shares;
mod students;
#[cfg(test)]
mod tests;
mod uploads;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{Error, Explanation, ExplanationState, ResourceName, Result};
use prost::Message;
use proto::raw::deeper::explanation::v1 as raw;
use runtime::{
    call::Context,
    places::{Place, Places},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use live::Live;
pub use looks::{DecodedImage, Interpolation};
pub use questions::{NewExplanation, Resolved};
pub use students::{MadeStudent, StudentUpdate};

use self::{
    memory::{Memory, Seat},
    runs::Runs,
    uploads::Uploads,
};
use crate::{
    caller::{ANONYMOUS, Caller, Limits},
    explain::Question,
    measured::ExplanationUnderWay,
    ports::{Board, Catalog, Documents, Models},
};

/// Folder of the documents.
const FOLDER: &str = "explanations";

/// Ids of the operations that are explanations: `explanation-{x}`.
pub(crate) const OPERATION_PREFIX: &str = "explanation-";

/// Explanations kept in memory with their neighbors, about 1 MB each. Older ones that are done are computed
/// again when they are asked for.
const MAX_LIVE_COUNT: usize = 128;

/// Explanations that may run or wait at once in this process. One more is answered QUEUE_FULL, and so is whoever
/// asks for one and has three for each that may still come: alone 48.
const MAX_RUNNING_COUNT: usize = 64;

/// All explanations. Cheap to clone.
#[derive(Clone)]
pub struct Explanations {
    models: Models,
    memory: Memory,
    catalog: Arc<dyn Catalog>,
    documents: Arc<dyn Documents>,
    board: Arc<dyn Board>,
    limits: Limits,
    runs: Runs,
    /// One for each that runs or waits, taken by whoever asks for it.
    places: Places,
    uploads: Uploads,
    tasks: TaskTracker,
    /// In the order they were begun or asked for again, one of a name. Written by `keep`, `forget_live` and
    /// `record_end`.
    live: Arc<Mutex<Vec<Arc<Live>>>>,
    /// Serializes creations and deletions, so that one id or request id makes one explanation. Held over a few looks
    /// at the documents, never while anybody waits for a turn.
    creating: Arc<tokio::sync::Mutex<()>>,
}

impl Explanations {
    /// No explanations yet. `tasks` owns what is spawned.
    pub fn new(
        models: Models,
        memory: Memory,
        catalog: Arc<dyn Catalog>,
        documents: Arc<dyn Documents>,
        board: Arc<dyn Board>,
        limits: Limits,
        tasks: TaskTracker,
    ) -> Self {
        let runs = Runs::new(models.clone(), memory.clone(), tasks.clone());
        let (live, creating) = (Arc::default(), Arc::default());
        let (places, uploads) = (Places::new(MAX_RUNNING_COUNT), Uploads::default());
        Self { models, memory, catalog, documents, board, limits, runs, places, uploads, tasks, live, creating }
    }

    /// Begins an explanation, or finds the one that the same request id began.
    pub async fn create(&self, caller: &Caller, new: NewExplanation, now: i64) -> Result<Arc<Live>> {
        if let Some(earlier) = self.find_request(caller, &new).await? {
            return self.get(&earlier).await;
        }
        // Before the lock: an upload may wait for its turn for long.
        let (explanation, question) = self.question(caller, &new, now).await?;
        let document = raw::Explanation::from(&explanation).encode_to_vec();
        let seat = self.seat_of(caller).await;
        let entering = seat.kept(async {
            let one_at_a_time = self.creating.lock().await;
            let entered = self.enter(caller, &new, &document, &seat).await;
            (one_at_a_time, entered)
        });
        let (one_at_a_time, entered) = entering.await;
        match entered? {
            Entered::New(place) => {
                let live = Live::begun(explanation, question.clone()).counted();
                Ok(self.begin(live, document, question, place, seat))
            }
            Entered::Earlier(name) => {
                drop(one_at_a_time);
                self.get(&name).await
            }
        }
    }

    /// Puts a new explanation on record and takes a place for it, unless the same request has made it by now.
    async fn enter(&self, caller: &Caller, new: &NewExplanation, document: &[u8], seat: &Seat) -> Result<Entered> {
        if let Some(earlier) = self.find_request(caller, new).await? {
            return Ok(Entered::Earlier(earlier));
        }
        let place = self.place()?;
        self.check_share(caller, seat)?;
        // Noted first: the same request at another replica finds it, or at least the name that is taken.
        let is_first = match &new.request_id {
            Some(request_id) => {
                let record = format!("{}\n{}", new.name, new.fingerprint).into_bytes();
                let is_first = self.documents.create(&request_path(caller, request_id), record.clone()).await?;
                if !is_first {
                    // Its explanation was deleted since, or is being made at this moment.
                    self.documents.put(&request_path(caller, request_id), record).await?;
                }
                is_first
            }
            None => true,
        };
        let deleted = self.find_live(&new.name);
        if self.documents.create(new.name.as_str(), document.to_vec()).await? {
            if deleted.is_some() {
                // At another replica, which has not been heeded here yet.
                self.forget_live(&new.name);
            }
            return Ok(Entered::New(place));
        }
        if !is_first && self.is_of(caller, &new.name).await? {
            return Ok(Entered::Earlier(new.name.clone()));
        }
        if let Some(request_id) = &new.request_id {
            self.documents.delete(&request_path(caller, request_id)).await?;
        }
        Err(Error::AlreadyExists { kind: "EXPLANATION", resource: new.name.to_string() })
    }

    /// An explanation. One that only its document is left of is begun again.
    pub async fn get(&self, name: &ResourceName) -> Result<Arc<Live>> {
        if let Some(live) = self.find_live(name) {
            return Ok(live);
        }
        let document = self.documents.get(name.as_str()).await?;
        let document = document.ok_or_else(|| not_found(name))?;
        let explanation = read_document(&document)?;
        if matches!(explanation.state, ExplanationState::Failed(_) | ExplanationState::Cancelled) {
            return Ok(self.keep(Live::ended(explanation)).0);
        }
        let question = self.question_again(&explanation).await?;
        let place = self.place()?;
        if self.documents.get(name.as_str()).await?.is_none() {
            return Err(not_found(name));
        }
        let live = Live::begun(explanation, question.clone());
        Ok(self.begin(live, document, question, place, Seat::Uncounted))
    }

    /// All explanations, newest first, as they were asked for or are now.
    pub async fn list(&self) -> Result<Vec<Explanation>> {
        self.list_as(|live| Some(Explanation::clone(&live.current()))).await
    }

    /// All explanations, newest first, each as `now` tells it or else as its document does.
    async fn list_as(&self, now: impl Fn(&Live) -> Option<Explanation>) -> Result<Vec<Explanation>> {
        let live: HashMap<ResourceName, Arc<Live>> =
            self.lock_live().iter().map(|live| (live.name().clone(), Arc::clone(live))).collect();
        let mut all = Vec::new();
        for document in self.documents.list(FOLDER).await? {
            let Ok(stored) = read_document(&document) else {
                tracing::error!("the record of an explanation cannot be read and is left out");
                continue;
            };
            let current = live.get(&stored.name).and_then(|live| now(live));
            all.push(current.unwrap_or(stored));
        }
        all.sort_by(|a, b| b.create_time.cmp(&a.create_time).then_with(|| a.name.cmp(&b.name)));
        Ok(all)
    }

    /// Begins one unless somebody has meanwhile. `document` is what is on record of it. The work queues under the
    /// name of whoever asks, who need not be its creator: looking at another one's explanation takes nothing of theirs.
    fn begin(&self, new: Live, document: Vec<u8>, question: Question, place: Place, seat: Seat) -> Arc<Live> {
        let context = Context::current().unbounded();
        let (live, is_new) = self.keep(new);
        if !is_new {
            return live;
        }
        let (all, running) = (self.clone(), Arc::clone(&live));
        let span = tracing::info_span!(parent: None, "explanation", explanation.name = %live.name());
        runtime::telemetry::continue_trace(&span);
        let work = async move {
            let under_way = ExplanationUnderWay::begin();
            seat.kept(Box::pin(running.follow(all.runs.clone(), question))).await;
            under_way.ended(&running.current().state);
            drop((place, seat));
            if let Err(error) = all.record_end(&running, &document).await {
                tracing::warn!(explanation.name = %running.name(), %error, "the end of an explanation was not stored");
            }
        };
        self.tasks.spawn(context.scope(work).instrument(span));
        live
    }

    /// Has it in memory, unless one of its name is there; says whether it is this one.
    fn keep(&self, new: Live) -> (Arc<Live>, bool) {
        let mut live = self.lock_live();
        if let Some(known) = live.iter().find(|live| live.name() == new.name()) {
            return (Arc::clone(known), false);
        }
        let new = Arc::new(new);
        while live.len() >= MAX_LIVE_COUNT {
            let Some(oldest_done) = live.iter().position(|live| live.current().is_done()) else { break };
            live.remove(oldest_done);
        }
        live.push(Arc::clone(&new));
        (new, true)
    }

    /// A place for whoever this is done for.
    fn place(&self) -> Result<Place> {
        let full = || Error::QueueFull { engine: "explanations".into(), retry_after_ms: 2_000 };
        self.places.take(&Context::current().caller).ok_or_else(full)
    }

    /// The explanation that the same request id began, unless it was deleted since and its name may be another's.
    async fn find_request(&self, caller: &Caller, new: &NewExplanation) -> Result<Option<ResourceName>> {
        let Some(request_id) = &new.request_id else { return Ok(None) };
        let found = self.documents.get(&request_path(caller, request_id)).await?;
        let record = found.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let Some((name, fingerprint)) = record.split_once('\n') else { return Ok(None) };
        let name = ResourceName::parse(name, ResourceName::EXPLANATION).map_err(Error::unexpected)?;
        if !self.is_of(caller, &name).await? {
            return Ok(None);
        }
        if fingerprint != new.fingerprint {
            return Err(Error::invalid("request_id", "was used for another request"));
        }
        Ok(Some(name))
    }

    /// Whether there is an explanation of this name and it is this caller's.
    async fn is_of(&self, caller: &Caller, name: &ResourceName) -> Result<bool> {
        let document = self.documents.get(name.as_str()).await?;
        Ok(document.is_some_and(|document| creator_of(&document) == caller.name))
    }

    fn find_live(&self, name: &ResourceName) -> Option<Arc<Live>> {
        self.lock_live().iter().find(|live| live.name() == name).cloned()
    }

    fn lock_live(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request to create one comes to.
enum Entered {
    /// It is on record and has its place.
    New(Place),
    /// The same request has made it already.
    Earlier(ResourceName),
}

/// Each creator's requests are their own. The UUID of one without an `explanation_id` is also its explanation's
/// name, which is one for all: whoever comes second with it is told that it exists.
fn request_path(caller: &Caller, request_id: &str) -> String {
    if caller.name == ANONYMOUS {
        return format!("requests/{request_id}");
    }
    let creator = blake3::hash(caller.name.as_bytes()).to_hex();
    format!("requests/{request_id}-{}", &creator[..16])
}

/// Whose a stored explanation is; one that cannot be read is nobody's in particular.
fn creator_of(document: &[u8]) -> String {
    read_document(document).map_or_else(|_| ANONYMOUS.to_owned(), |stored| stored.creator)
}

fn not_found(name: &ResourceName) -> Error {
    Error::NotFound { kind: "EXPLANATION", resource: name.to_string() }
}

fn read_document(bytes: &[u8]) -> Result<Explanation> {
    let decoded = raw::Explanation::decode(bytes).map_err(Error::unexpected)?;
    Explanation::try_from(decoded).map_err(|error| Error::unexpected(format!("a stored explanation: {error}")))
}
