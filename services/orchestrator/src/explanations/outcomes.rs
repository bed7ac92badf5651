//! How explanations end, and what is remembered of it. A success is on record although what it came to is
//! not: the maps are computed again, the same ones, for whoever looks at them after a restart. An operation
//! that is done stays done meanwhile.

use std::{mem::discriminant, sync::Arc};

use domain::{Explanation, ExplanationState, ResourceName, Result};
use prost::Message;
use proto::raw::deeper::explanation::v1 as raw;

use super::{Explanations, Live, not_found, read_document};

impl Explanations {
    /// An explanation as its operation tells it: one that has succeeded has, also where its maps are not in
    /// memory. Computes nothing unless it never came to an end.
    pub async fn outcome(&self, name: &ResourceName) -> Result<Arc<Explanation>> {
        if let Some(live) = self.find_live(name).filter(|live| !live.is_repetition()) {
            return Ok(live.current());
        }
        let document = self.documents.get(name.as_str()).await?;
        let stored = read_document(&document.ok_or_else(|| not_found(name))?)?;
        if stored.is_done() { Ok(Arc::new(stored)) } else { Ok(self.get(name).await?.current()) }
    }

    /// All explanations as their operations tell them, newest first.
    pub async fn outcomes(&self) -> Result<Vec<Explanation>> {
        self.list_as(|live| (!live.is_repetition()).then(|| Explanation::clone(&live.current()))).await
    }

    /// Writes how an explanation ended, once: whoever is first, and not over a deletion or a cancellation.
    /// `before` is what was on record when it began. One that ended otherwise than its record says, because it
    /// was computed once more or elsewhere too, is not kept in memory: whoever asks next gets another try.
    pub(super) async fn record_end(&self, ended: &Arc<Live>, before: &[u8]) -> Result<()> {
        if ended.is_forgotten() {
            return Ok(());
        }
        let explanation = ended.current();
        let name = explanation.name.as_str();
        let record = raw::Explanation::from(&record_of(&explanation)).encode_to_vec();
        if !read_document(before)?.is_done() && self.documents.replace(name, before, record).await? {
            return Ok(());
        }
        let stored = self.documents.get(name).await?;
        let state = stored.and_then(|stored| read_document(&stored).ok()).map(|stored| stored.state);
        if state.is_none_or(|state| discriminant(&state) != discriminant(&explanation.state)) {
            self.lock_live().retain(|live| !Arc::ptr_eq(live, ended));
        }
        Ok(())
    }
}

/// What cannot be recomputed of an explanation; of one that succeeded also what lists show of it.
fn record_of(explanation: &Explanation) -> Explanation {
    let has_succeeded = explanation.state == ExplanationState::Succeeded;
    Explanation {
        image: explanation.image.clone().filter(|_| has_succeeded),
        soft_labels: None,
        latent: None,
        reconstruction: None,
        student: None,
        labeled_neighbor_count: if has_succeeded { explanation.labeled_neighbor_count } else { 0 },
        ..explanation.clone()
    }
}
