//! What is going on, for those who watch: everything first, then what has changed. There is no queue:
//! a watcher compares what it has sent with what is, so one that reads slowly skips what is outdated.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use domain::{Autoencoder, Dataset, ResourceName, Result, Teacher};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{Catalog, ModelSet},
    operations::Operation,
};

/// Changes are looked for at most this often.
const INTERVAL: Duration = Duration::from_millis(250);
/// Trainings that ended so many seconds ago are still told of.
const RECENT_SECONDS: i64 = 600;
/// Trainings that are told of, the newest: with its loss curve each takes up to 10 KB.
const MAX_TRAININGS: usize = 100;

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq)]
pub enum ActivityUpdate {
    /// First and once: all there is.
    Snapshot {
        /// By name.
        datasets: Vec<Arc<Dataset>>,
        /// By name.
        teachers: Vec<Arc<Teacher>>,
        /// By name.
        autoencoders: Vec<Arc<Autoencoder>>,
        /// Trainings that run or have ended lately, oldest first.
        operations: Vec<Operation>,
    },
    /// New; data sets never change.
    Dataset(Arc<Dataset>),
    /// New or changed.
    Teacher(Arc<Teacher>),
    /// New or changed.
    Autoencoder(Arc<Autoencoder>),
    /// New or changed.
    Operation(Operation),
    /// A teacher or an autoencoder is gone.
    Deleted(ResourceName),
}

struct Watcher {
    catalog: Catalog,
    models_changed: watch::Receiver<u64>,
    operations_changed: watch::Receiver<u64>,
    end: CancellationToken,
    /// What the client knows.
    sent: Seen,
    /// At most one of each thing there is.
    pending: VecDeque<ActivityUpdate>,
    looked_at: Instant,
}

#[derive(Default)]
struct Seen {
    set: ModelSet,
    operations: BTreeMap<ResourceName, Operation>,
}

/// Watches until `end` is cancelled or the stream is dropped.
pub async fn watch(catalog: Catalog, end: CancellationToken) -> Result<BoxStream<'static, ActivityUpdate>> {
    catalog.datasets().await?;
    catalog.refreshed().await;
    let (mut models_changed, mut operations_changed) = (catalog.changes(), catalog.operations().changes());
    models_changed.mark_unchanged();
    operations_changed.mark_unchanged();
    let sent = look(&catalog);
    let snapshot = ActivityUpdate::Snapshot {
        datasets: sent.set.datasets.values().cloned().collect(),
        teachers: sent.set.teachers.values().cloned().collect(),
        autoencoders: sent.set.autoencoders.values().cloned().collect(),
        operations: in_order(&sent),
    };
    let pending = VecDeque::from([snapshot]);
    let looked_at = Instant::now();
    let watcher = Watcher { catalog, models_changed, operations_changed, end, sent, pending, looked_at };
    Ok(stream::unfold(watcher, next).boxed())
}

async fn next(mut watcher: Watcher) -> Option<(ActivityUpdate, Watcher)> {
    loop {
        if let Some(update) = watcher.pending.pop_front() {
            return Some((update, watcher));
        }
        let changed = async {
            // The senders live in the catalog.
            tokio::select! {
                _ = watcher.models_changed.changed() => {}
                _ = watcher.operations_changed.changed() => {}
            }
            tokio::time::sleep_until(watcher.looked_at + INTERVAL).await;
        };
        let end = watcher.end.clone();
        tokio::select! {
            () = end.cancelled() => return None,
            () = changed => {}
        }
        watcher.models_changed.mark_unchanged();
        watcher.operations_changed.mark_unchanged();
        watcher.looked_at = Instant::now();
        let now = look(&watcher.catalog);
        watcher.pending = changes(&watcher.sent, &now);
        watcher.sent = now;
    }
}

fn look(catalog: &Catalog) -> Seen {
    let trainings = catalog.operations().recent(RECENT_SECONDS, MAX_TRAININGS);
    let operations = trainings.into_iter().map(|operation| (operation.name.clone(), operation)).collect();
    Seen { set: catalog.models(), operations }
}

/// What leads from one state to the other. An operation that is no longer recent is not told of.
fn changes(before: &Seen, now: &Seen) -> VecDeque<ActivityUpdate> {
    let mut updates = VecDeque::new();
    let gone = |names: &mut dyn Iterator<Item = &ResourceName>, updates: &mut VecDeque<ActivityUpdate>| {
        updates.extend(names.cloned().map(ActivityUpdate::Deleted));
    };
    let (old, new) = (&before.set, &now.set);
    gone(&mut old.teachers.keys().filter(|name| !new.teachers.contains_key(name)), &mut updates);
    gone(&mut old.autoencoders.keys().filter(|name| !new.autoencoders.contains_key(name)), &mut updates);
    updates.extend(news(&old.datasets, &new.datasets).map(ActivityUpdate::Dataset));
    updates.extend(news(&old.teachers, &new.teachers).map(ActivityUpdate::Teacher));
    updates.extend(news(&old.autoencoders, &new.autoencoders).map(ActivityUpdate::Autoencoder));
    let has_moved = |operation: &Operation| before.operations.get(&operation.name) != Some(operation);
    updates.extend(in_order(now).into_iter().filter(has_moved).map(ActivityUpdate::Operation));
    updates
}

fn news<'a, T>(
    before: &'a BTreeMap<ResourceName, Arc<T>>,
    now: &'a BTreeMap<ResourceName, Arc<T>>,
) -> impl Iterator<Item = Arc<T>> + 'a {
    let is_new =
        |(name, value): &(&ResourceName, &Arc<T>)| !before.get(name).is_some_and(|old| Arc::ptr_eq(old, value));
    now.iter().filter(is_new).map(|(_, value)| value.clone())
}

fn in_order(seen: &Seen) -> Vec<Operation> {
    let mut operations: Vec<Operation> = seen.operations.values().cloned().collect();
    operations.sort_by(|a, b| (a.create_time, &a.name).cmp(&(b.create_time, &b.name)));
    operations
}
