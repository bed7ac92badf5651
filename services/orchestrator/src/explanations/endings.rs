//! How explanations are ended from outside: deleted or cancelled, here or at the replica that runs them.

use std::collections::BTreeSet;

use domain::{Error, Explanation, ExplanationState, ResourceName, Result};
use prost::Message;
use proto::raw::deeper::explanation::v1 as raw;

use super::{Explanations, OPERATION_PREFIX, creator_of, not_found, read_document};
use crate::caller::Caller;

/// A document that somebody else changes at the same time is read again so often.
const MAX_ATTEMPTS: usize = 5;

impl Explanations {
    /// Forgets an explanation; one that runs is cancelled, wherever it does.
    pub async fn delete(&self, caller: &Caller, name: &ResourceName) -> Result<()> {
        let _undisturbed = self.creating.lock().await;
        let document = self.documents.get(name.as_str()).await?.ok_or_else(|| not_found(name))?;
        caller.may_change(&creator_of(&document), name.as_str(), "delete")?;
        self.forget_live(name);
        self.delete_students(name).await?;
        self.documents.delete(name.as_str()).await?;
        self.tell_others(name).await;
        Ok(())
    }

    /// Asks an explanation to stop, wherever it runs; one that is done stays as it is.
    pub async fn cancel(&self, caller: &Caller, name: &ResourceName) -> Result<()> {
        let live = self.find_live(name);
        if let Some(live) = &live {
            let current = live.current();
            caller.may_change(&current.creator, name.as_str(), "cancel")?;
            if current.is_done() {
                return Ok(());
            }
        }
        for _ in 0..MAX_ATTEMPTS {
            let document = self.documents.get(name.as_str()).await?.ok_or_else(|| not_found(name))?;
            let stored = read_document(&document)?;
            caller.may_change(&stored.creator, name.as_str(), "cancel")?;
            if stored.is_done() {
                // Here it is being computed once more, for whoever looks at it.
                live.inspect(|live| live.cancel());
                return Ok(());
            }
            let cancelled = Explanation { state: ExplanationState::Cancelled, ..stored };
            let cancelled = raw::Explanation::from(&cancelled).encode_to_vec();
            if self.documents.replace(name.as_str(), &document, cancelled).await? {
                live.inspect(|live| live.cancel());
                self.tell_others(name).await;
                return Ok(());
            }
        }
        Err(Error::unexpected(format!("{name} changes faster than it can be cancelled")))
    }

    /// Looks at the explanations again that other replicas have cancelled or deleted, by their operations' ids.
    pub async fn heed(&self, requests: &BTreeSet<String>) {
        for id in requests.iter().filter_map(|id| id.strip_prefix(OPERATION_PREFIX)) {
            let Ok(name) = ResourceName::new(ResourceName::EXPLANATION, &[id]) else { continue };
            let Some(live) = self.find_live(&name) else { continue };
            match self.documents.get(name.as_str()).await {
                Ok(None) => self.forget_live(&name),
                Ok(Some(document)) => {
                    let is_cancelled =
                        read_document(&document).is_ok_and(|stored| stored.state == ExplanationState::Cancelled);
                    if is_cancelled && !live.current().is_done() {
                        live.cancel();
                    }
                }
                // It is looked at with the next request.
                Err(error) => tracing::warn!(explanation.name = %name, %error, "a request to end is not heeded"),
            }
        }
    }

    /// Other replicas that have it in memory look at its document again.
    async fn tell_others(&self, name: &ResourceName) {
        if let Err(error) = self.board.request_end(&format!("{OPERATION_PREFIX}{}", name.id())).await {
            tracing::warn!(explanation.name = %name, %error, "other replicas are not told of an end");
        }
    }

    pub(super) fn forget_live(&self, name: &ResourceName) {
        let removed = {
            let mut live = self.lock_live();
            let position = live.iter().position(|live| live.name() == name);
            position.map(|position| live.remove(position))
        };
        if let Some(live) = removed {
            live.forget();
        }
    }
}
