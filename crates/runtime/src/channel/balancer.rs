//! All replicas of one service: who is there, and who is asked next. tonic's own balancer is not used: it
//! takes every replica for equally busy and keeps a dead one in turn.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;

use super::{
    Tried,
    address::{Addresses, MAX_PEERS, Name, Replica},
    methods,
    peer::{CONNECT_LIMIT, Open, Peer, Standing, State},
    repeat,
};

/// How often names are looked up again.
const LOOK_UP_INTERVAL: Duration = Duration::from_secs(5);
/// Longest look-up; the addresses of the last one stay.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);
/// How long a call waits for a first replica: a look-up that is quick and a connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// The replicas of one service.
pub(super) struct Balancer {
    set: Arc<Set>,
    _look_ups: Option<AbortOnDropHandle<()>>,
}

struct Set {
    /// Written by look-ups, read by calls.
    peers: Mutex<Peers>,
    /// Told of every change of a replica or of the set.
    changed: watch::Sender<()>,
    /// Where the next choice begins, so that replicas that are equally busy take turns.
    next: AtomicUsize,
}

#[derive(Default)]
struct Peers {
    list: Vec<Arc<Peer>>,
    /// Whether every name has been looked up once.
    is_known: bool,
}

/// A replica that a call goes to; the call counts as open until this is dropped.
pub(super) struct Picked {
    pub(super) channel: Channel,
    peer: Arc<Peer>,
    connection: u64,
    _open: Open,
}

impl Picked {
    pub(super) fn address(&self) -> Arc<str> {
        Arc::clone(&self.peer.address)
    }

    /// The call has lost its connection: nobody else is sent there until there is a new one.
    pub(super) fn lost(&self) {
        self.peer.lost(self.connection);
    }
}

/// What there is for a call.
enum Choice {
    Pick(Picked),
    /// Something will be known soon.
    Wait,
    Nobody,
}

impl Balancer {
    /// Connects to all replicas and keeps looking names up.
    pub(super) fn connect(service: Arc<str>, addresses: Addresses) -> Self {
        let set = Arc::new(Set::new());
        let health_name = methods::health_name(&service);
        set.update(&addresses.fixed, &health_name, addresses.names.is_empty());
        let look_ups = (!addresses.names.is_empty()).then(|| {
            let work = keep_looking_up(Arc::clone(&set), service, addresses, health_name);
            AbortOnDropHandle::new(tokio::spawn(work))
        });
        Self { set, _look_ups: look_ups }
    }

    /// One replica for good.
    pub(super) fn fixed(peer: Peer) -> Self {
        let set = Set::new();
        *set.lock() = Peers { list: vec![Arc::new(peer)], is_known: true };
        Self { set: Arc::new(set), _look_ups: None }
    }

    /// The best replica, if need be after a short wait; `None` when there is none.
    pub(super) async fn acquire(&self, tried: &Tried, deadline: Option<Instant>) -> Option<Picked> {
        let patience = Instant::now() + PATIENCE;
        let give_up_at = deadline.map_or(patience, |deadline| deadline.min(patience));
        let mut changed = self.set.changed.subscribe();
        loop {
            match self.set.choose(tried) {
                Choice::Pick(picked) => return Some(picked),
                Choice::Nobody => return None,
                Choice::Wait => timeout_at(give_up_at, changed.changed()).await.ok()?.ok()?,
            }
        }
    }

    /// Whether there is a replica with a connection that is not on the list.
    pub(super) fn has_untried(&self, tried: &Tried) -> bool {
        let peers = self.set.lock();
        peers.list.iter().any(|peer| !tried.has(&peer.address) && matches!(peer.state(), State::Up(..)))
    }
}

impl Set {
    fn new() -> Self {
        Self { peers: Mutex::default(), changed: watch::Sender::default(), next: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are new are connected, those that are gone are let go, and the others stay as they are.
    fn update(&self, replicas: &[Replica], health_name: &str, is_known: bool) {
        let mut wanted: BTreeMap<String, &Replica> = BTreeMap::new();
        for replica in replicas {
            let address = replica.uri.authority().map_or("", |authority| authority.as_str());
            wanted.entry(address.to_owned()).or_insert(replica);
        }
        if wanted.len() > MAX_PEERS {
            tracing::warn!(replica_count = wanted.len(), max_replica_count = MAX_PEERS, "some replicas are left out");
        }
        let mut peers = self.lock();
        let before = std::mem::take(&mut peers.list);
        peers.list = wanted
            .into_iter()
            .take(MAX_PEERS)
            .map(|(address, replica)| {
                let known = before.iter().find(|peer| *peer.address == *address).cloned();
                known.unwrap_or_else(|| Arc::new(Peer::start(replica, health_name.to_owned(), self.changed.clone())))
            })
            .collect();
        peers.is_known |= is_known;
        drop(peers);
        self.changed.send_replace(());
    }

    /// Serving ones before others, fewer open calls before more, and in turn.
    fn choose(&self, tried: &Tried) -> Choice {
        let peers = self.lock();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..peers.list.len()).map(|index| &peers.list[(start + index) % peers.list.len()]);
        let mut best: Option<Candidate<'_>> = None;
        let (mut is_coming, mut fresh_is_coming) = (false, false);
        for peer in in_turn {
            let was_tried = tried.has(&peer.address);
            match peer.state() {
                // It had its time, and nothing has been heard of it since.
                State::Up(_, Standing::Silent, _) if was_tried => {}
                State::Up(channel, standing, connection) => {
                    let rank = (was_tried, standing, peer.open_count());
                    if best.as_ref().is_none_or(|best| rank < best.rank) {
                        best = Some(Candidate { rank, peer, channel, connection });
                    }
                }
                State::Connecting => {
                    is_coming = true;
                    fresh_is_coming |= !was_tried;
                }
                State::Failed => {}
            }
        }
        match best {
            // Whoever was tried before is asked again only when nobody else is about to come.
            Some(Candidate { rank: (true, ..), .. }) if fresh_is_coming => Choice::Wait,
            Some(Candidate { peer, channel, connection, .. }) => {
                Choice::Pick(Picked { channel, peer: Arc::clone(peer), connection, _open: peer.open() })
            }
            None if is_coming || !peers.is_known => Choice::Wait,
            None => Choice::Nobody,
        }
    }
}

/// A replica that could be asked; the one of the least rank is.
struct Candidate<'a> {
    /// Whether it was tried before, how it is, and its open calls.
    rank: (bool, Standing, usize),
    peer: &'a Arc<Peer>,
    channel: Channel,
    connection: u64,
}

/// Looks all names up, now and every few seconds. A name that cannot be looked up keeps its addresses.
async fn keep_looking_up(set: Arc<Set>, service: Arc<str>, addresses: Addresses, health_name: String) {
    let mut found: Vec<Vec<Replica>> = vec![Vec::new(); addresses.names.len()];
    let mut told = None;
    loop {
        for (name, replicas) in addresses.names.iter().zip(&mut found) {
            match look_up(name).await {
                Ok(current) => *replicas = current,
                Err(error) => {
                    tracing::warn!(service.peer.name = &*service, host = name.host, error, "a name is not known")
                }
            }
        }
        let all: Vec<Replica> = addresses.fixed.iter().chain(found.iter().flatten()).cloned().collect();
        set.update(&all, &health_name, true);
        if told != Some(all.len()) {
            tracing::info!(service.peer.name = &*service, replica_count = all.len(), "looked up");
            told = Some(all.len());
        }
        tokio::time::sleep(repeat::jittered(LOOK_UP_INTERVAL)).await;
    }
}

async fn look_up(name: &Name) -> Result<Vec<Replica>, String> {
    let addresses = timeout(LOOK_UP_LIMIT, tokio::net::lookup_host((name.host.as_str(), name.port))).await;
    let addresses = addresses.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
    let mut addresses: Vec<SocketAddr> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses.into_iter().filter_map(|address| name.replica(address)).collect())
}

const _: () = assert!(PATIENCE.as_millis() > CONNECT_LIMIT.as_millis(), "a call outwaits one connection");
