//! How explanations end, and what is remembered of it. A success is on record although what it came to is
//! not: the maps are computed again, the same ones, for whoever looks at them after a restart. An operation
//! that is done stays done meanwhile.

use std::sync::Arc;

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

    /// Asks an explanation to stop; one that is done stays as it is. One that is only computed once more stops
    /// as well, and begins again for the next who looks at it.
    pub async fn cancel(&self, name: &ResourceName) -> Result<()> {
        if let Some(live) = self.find_live(name) {
            live.cancel();
        } else if !self.outcome(name).await?.is_done() {
            self.get(name).await?.cancel();
        }
        Ok(())
    }

    /// Writes down how an explanation ended, unless it was deleted: that is not undone by the end that it brings
    /// about. One that had succeeded before and now does not is forgotten, so that the next look tries again.
    pub(super) async fn record_end(&self, ended: &Arc<Live>) {
        let _undisturbed = self.creating.lock().await;
        if ended.is_repetition() {
            self.lock_live().retain(|live| !Arc::ptr_eq(live, ended));
        } else if !ended.is_forgotten() {
            let explanation = ended.current();
            let document = raw::Explanation::from(&record_of(&explanation)).encode_to_vec();
            if let Err(error) = self.documents.put(explanation.name.as_str(), document).await {
                tracing::warn!(explanation.name = %explanation.name, %error, "the end of an explanation was not stored");
            }
        }
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
