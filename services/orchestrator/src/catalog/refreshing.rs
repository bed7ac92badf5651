//! What other replicas have made, seen here: one listing, and reads of what has changed since the last one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use domain::{ResourceName, Result};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::{Catalog, models::Look};
use crate::{
    operations::Operation,
    ports::{Listing, Stamp},
};

/// Records that are read at once.
const READS_IN_FLIGHT: usize = 16;
/// A look that this process's own writes came between is repeated so often; the next one is never far.
const MAX_ATTEMPTS: usize = 5;

/// What is known of the records; held by whoever looks at them.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// When the last look that succeeded began.
    looked_at: Option<Instant>,
    /// Stamps of models and operations as they were last taken over.
    seen: HashMap<ResourceName, Stamp>,
    /// Whose each claimed operation is, by the claim's stamp.
    owners: BTreeMap<ResourceName, (Stamp, String)>,
    overview: Arc<Overview>,
}

/// Who does what, and what is asked of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Overview {
    /// Claimed operations and their owners.
    pub(super) owners: BTreeMap<ResourceName, String>,
    /// Ids of operations that somebody wants to end.
    pub(super) requests: BTreeSet<String>,
    /// Replicas that have a heartbeat on the board.
    pub(super) replicas: BTreeSet<String>,
}

/// Changed records, by kind.
#[derive(Debug, Default)]
struct Changed {
    look: Look,
    operations: Vec<Operation>,
    all_operations: BTreeSet<ResourceName>,
}

impl Catalog {
    /// Looks at the records, unless a look that began after this call did so already. At most one look is
    /// under way; whoever waits for it shares the next one.
    pub(super) async fn refresh(&self) -> Result<Arc<Overview>> {
        let asked_at = Instant::now();
        let mut mirror = self.inner.mirror.lock().await;
        if mirror.looked_at.is_none_or(|looked_at| looked_at < asked_at) {
            let begun_at = Instant::now();
            for _ in 0..MAX_ATTEMPTS {
                if self.look(&mut mirror).await? {
                    break;
                }
            }
            mirror.looked_at = Some(begun_at);
        }
        Ok(Arc::clone(&mirror.overview))
    }

    /// As [`Catalog::refreshed`], for callers with a deadline.
    pub async fn listed(&self) -> Result<()> {
        self.refreshed().await;
        Ok(())
    }

    /// As [`Catalog::refresh`], for answers that are better a little old than none: the store has told why.
    pub async fn refreshed(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "the catalog is answered from memory");
        }
    }

    /// One look. `false` if this process wrote something meanwhile, so that it told nothing.
    async fn look(&self, mirror: &mut Mirror) -> Result<bool> {
        let (models, operations) = (&self.inner.models, &self.inner.operations);
        let (model_writes, operation_writes) = (models.write_count(), operations.write_count());
        let listing = self.inner.records.listing().await?;
        self.inner.replica.hear(&listing.replicas);
        let changed = self.read_changed(&listing, &mirror.seen).await?;
        let taken = models.mirror(model_writes, &changed.look)
            && operations.mirror(operation_writes, changed.operations, &changed.all_operations);
        if !taken {
            return Ok(false);
        }
        self.read_owners(&listing, &mut mirror.owners).await?;
        let owners = mirror.owners.iter().map(|(name, (_, owner))| (name.clone(), owner.clone())).collect();
        let requests = listing.requests.into_keys().collect();
        let replicas = listing.replicas.into_keys().collect();
        mirror.overview = Arc::new(Overview { owners, requests, replicas });
        let records = listing.teachers.into_iter().chain(listing.autoencoders).chain(listing.operations);
        mirror.seen = records.collect();
        Ok(true)
    }

    async fn read_changed(&self, listing: &Listing, seen: &HashMap<ResourceName, Stamp>) -> Result<Changed> {
        let records = &self.inner.records;
        let changed = |names: &BTreeMap<ResourceName, Stamp>| {
            let is_changed = |(name, stamp): &(&ResourceName, &Stamp)| seen.get(*name) != Some(*stamp);
            let names: Vec<ResourceName> = names.iter().filter(is_changed).map(|(name, _)| name.clone()).collect();
            stream::iter(names)
        };
        let teachers = changed(&listing.teachers).map(|name| async move { records.teacher(&name).await });
        let autoencoders = changed(&listing.autoencoders).map(|name| async move { records.autoencoder(&name).await });
        let operations = changed(&listing.operations).map(|name| async move { records.operation(&name).await });
        let (teachers, autoencoders, operations): (Vec<_>, Vec<_>, Vec<_>) = tokio::try_join!(
            teachers.buffered(READS_IN_FLIGHT).try_collect(),
            autoencoders.buffered(READS_IN_FLIGHT).try_collect(),
            operations.buffered(READS_IN_FLIGHT).try_collect(),
        )?;
        Ok(Changed {
            look: Look {
                teachers: teachers.into_iter().flatten().collect(),
                autoencoders: autoencoders.into_iter().flatten().collect(),
                all: listing.teachers.keys().chain(listing.autoencoders.keys()).cloned().collect(),
            },
            operations: operations.into_iter().flatten().collect(),
            all_operations: listing.operations.keys().cloned().collect(),
        })
    }

    async fn read_owners(&self, listing: &Listing, owners: &mut BTreeMap<ResourceName, (Stamp, String)>) -> Result<()> {
        owners.retain(|name, (stamp, _)| listing.claims.get(name) == Some(stamp));
        for (name, stamp) in &listing.claims {
            if !owners.contains_key(name)
                && let Some(owner) = self.inner.replica.board().owner(name).await?
            {
                owners.insert(name.clone(), (stamp.clone(), owner));
            }
        }
        Ok(())
    }
}
