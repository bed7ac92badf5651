//! Explanations as resources: made once, watched by many, remembered as small documents and computed again
//! when only the document is left.

pub mod chosen;
pub mod instance;
mod known;
mod live;
mod looks;
pub mod memory;
pub mod neighborhood;
mod outcomes;
pub mod questions;
pub mod runs;
mod students;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{Error, Explanation, ExplanationState, ResourceName, Result};
use prost::Message;
use proto::raw::deeper::explanation::v1 as raw;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use live::Live;
pub use looks::{DecodedImage, Interpolation};
pub use questions::{NewExplanation, Resolved};
pub use students::StudentUpdate;

use self::{memory::Memory, runs::Runs};
use crate::ports::{Catalog, Documents, Models};

/// Folder of the documents.
const FOLDER: &str = "explanations";

/// Explanations kept in memory with their neighbors, about 1 MB each. Older ones that are done are computed
/// again when they are asked for.
const MAX_LIVE_COUNT: usize = 128;

/// Explanations that may run or wait at once; more are answered QUEUE_FULL.
const MAX_RUNNING_COUNT: usize = 64;

/// All explanations. Cheap to clone.
#[derive(Clone)]
pub struct Explanations {
    models: Models,
    memory: Memory,
    catalog: Arc<dyn Catalog>,
    documents: Arc<dyn Documents>,
    runs: Runs,
    tasks: TaskTracker,
    /// In order of creation. Written by `create`, `revive` and `delete`.
    live: Arc<Mutex<Vec<Arc<Live>>>>,
    /// Serializes creations, ends and deletions, so that one id or request id makes one explanation.
    creating: Arc<tokio::sync::Mutex<()>>,
}

impl Explanations {
    /// Nothing in memory yet. `tasks` owns what is spawned.
    pub fn new(models: Models, catalog: Arc<dyn Catalog>, documents: Arc<dyn Documents>, tasks: TaskTracker) -> Self {
        let memory = Memory::default();
        let runs = Runs::new(models.clone(), memory.clone(), tasks.clone());
        Self { models, memory, catalog, documents, runs, tasks, live: Arc::default(), creating: Arc::default() }
    }

    /// Begins an explanation, or finds the one that the same request id began.
    pub async fn create(&self, new: NewExplanation, now: i64) -> Result<Arc<Live>> {
        let _one_at_a_time = self.creating.lock().await;
        if let Some(earlier) = self.find_request(&new).await? {
            return self.get(&earlier).await;
        }
        let (explanation, question) = self.question(&new, now).await?;
        self.check_capacity()?;
        let document = raw::Explanation::from(&explanation).encode_to_vec();
        if !self.documents.create(explanation.name.as_str(), document).await? {
            return Err(Error::AlreadyExists { kind: "EXPLANATION", resource: explanation.name.to_string() });
        }
        if let Some(request_id) = &new.request_id {
            let path = format!("requests/{request_id}");
            let record = format!("{}\n{}", explanation.name, new.fingerprint);
            self.documents.put(&path, record.into_bytes()).await?;
        }
        Ok(self.begin(explanation, question))
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
            return Ok(self.find_live(name).unwrap_or_else(|| self.keep(Live::ended(explanation))));
        }
        let question = self.question_again(&explanation).await?;
        self.check_capacity()?;
        if self.documents.get(name.as_str()).await?.is_none() {
            return Err(not_found(name));
        }
        Ok(self.find_live(name).unwrap_or_else(|| self.begin(explanation, question)))
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
            let stored = read_document(&document)?;
            let current = live.get(&stored.name).and_then(|live| now(live));
            all.push(current.unwrap_or(stored));
        }
        all.sort_by(|a, b| b.create_time.cmp(&a.create_time).then_with(|| a.name.cmp(&b.name)));
        Ok(all)
    }

    /// Forgets an explanation; one that runs is cancelled.
    pub async fn delete(&self, name: &ResourceName) -> Result<()> {
        let _undisturbed = self.creating.lock().await;
        if self.documents.get(name.as_str()).await?.is_none() {
            return Err(not_found(name));
        }
        let removed = {
            let mut live = self.lock_live();
            let position = live.iter().position(|live| live.name() == name);
            position.map(|position| live.remove(position))
        };
        if let Some(live) = removed {
            live.forget();
        }
        self.delete_students(name).await?;
        self.documents.delete(name.as_str()).await
    }

    fn begin(&self, explanation: Explanation, question: crate::explain::Question) -> Arc<Live> {
        let live = self.keep(Live::begun(explanation, question.clone()));
        let (runs, running) = (self.runs.clone(), Arc::clone(&live));
        let all = self.clone();
        let span = tracing::info_span!(parent: None, "explanation", explanation.name = %live.name());
        runtime::telemetry::continue_trace(&span);
        let work = async move {
            running.follow(runs, question).await;
            all.record_end(&running).await;
        };
        self.tasks.spawn(work.instrument(span));
        live
    }

    fn keep(&self, new: Live) -> Arc<Live> {
        let new = Arc::new(new);
        let mut live = self.lock_live();
        while live.len() >= MAX_LIVE_COUNT {
            let Some(oldest_done) = live.iter().position(|live| live.current().is_done()) else { break };
            live.remove(oldest_done);
        }
        live.push(Arc::clone(&new));
        new
    }

    fn check_capacity(&self) -> Result<()> {
        let running = self.lock_live().iter().filter(|live| !live.current().is_done()).count();
        if running < MAX_RUNNING_COUNT {
            return Ok(());
        }
        Err(Error::QueueFull { engine: "explanations".into(), retry_after_ms: 2_000 })
    }

    /// The explanation that the same request id began, unless it was deleted since.
    async fn find_request(&self, new: &NewExplanation) -> Result<Option<ResourceName>> {
        let Some(request_id) = &new.request_id else { return Ok(None) };
        let found = self.documents.get(&format!("requests/{request_id}")).await?;
        let record = found.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let Some((name, fingerprint)) = record.split_once('\n') else { return Ok(None) };
        let name = ResourceName::parse(name, ResourceName::EXPLANATION).map_err(Error::unexpected)?;
        if self.documents.get(name.as_str()).await?.is_none() {
            return Ok(None);
        }
        if fingerprint != new.fingerprint {
            return Err(Error::invalid("request_id", "was used for another request"));
        }
        Ok(Some(name))
    }

    fn find_live(&self, name: &ResourceName) -> Option<Arc<Live>> {
        self.lock_live().iter().find(|live| live.name() == name).cloned()
    }

    fn lock_live(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(name: &ResourceName) -> Error {
    Error::NotFound { kind: "EXPLANATION", resource: name.to_string() }
}

fn read_document(bytes: &[u8]) -> Result<Explanation> {
    let decoded = raw::Explanation::decode(bytes).map_err(Error::unexpected)?;
    Explanation::try_from(decoded).map_err(|error| Error::unexpected(format!("a stored explanation: {error}")))
}
