//! One replica: a connection that is kept up, and what is known of how the replica is.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::{address::Replica, repeat};
use crate::server::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};

/// How long a connection may take to come up.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// A peer that is silent for interval + timeout is given up, and with it the calls that it has: within 15 s.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a replica is asked how it is, and how long its answer may take: one that is stopped, or whose
/// network is, gets no new calls after two to three seconds.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// Between two connections that fail.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that lasted so long is replaced at once.
const STEADY: Duration = Duration::from_secs(1);

/// How a replica with a connection is; better ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Takes calls.
    Serving,
    /// Says that it takes none: it is warming up, or on its way out.
    NotServing,
    /// Does not answer: stopped, or starved.
    Silent,
}

/// What may be expected of a replica.
#[derive(Clone)]
pub(super) enum State {
    /// It will be known soon.
    Connecting,
    /// The last connection failed, and the next one is tried in a moment.
    Failed,
    /// There is a connection; the number tells it from those before and after it.
    Up(Channel, Standing, u64),
}

/// One replica. Dropping it ends its upkeep; calls that run go on.
pub(super) struct Peer {
    pub(super) address: Arc<str>,
    shared: Arc<Shared>,
    _upkeep: Option<AbortOnDropHandle<()>>,
}

struct Shared {
    /// Written by the upkeep and by calls that lose their connection, read by calls.
    state: Mutex<State>,
    /// Calls that have not ended, streams until their last message.
    open_count: AtomicUsize,
    /// Wakes the upkeep when a call has lost its connection.
    lost: Notify,
    /// Wakes calls that wait for any replica.
    changed: watch::Sender<()>,
}

impl Peer {
    /// Connects now and for as long as it lives. `changed` is told of every change.
    pub(super) fn start(replica: &Replica, health_name: String, changed: watch::Sender<()>) -> Self {
        let endpoint = windowed(Endpoint::from(replica.uri.clone()))
            .connect_timeout(CONNECT_LIMIT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let endpoint = match &replica.origin {
            Some(origin) => endpoint.origin(origin.clone()),
            None => endpoint,
        };
        let shared = Arc::new(Shared::new(State::Connecting, changed));
        let upkeep = tokio::spawn(keep_up(Arc::clone(&shared), endpoint, health_name));
        let address = replica.uri.authority().map_or("", |authority| authority.as_str()).into();
        Self { address, shared, _upkeep: Some(AbortOnDropHandle::new(upkeep)) }
    }

    /// A channel that looks after itself: a pipe.
    pub(super) fn fixed(channel: Channel) -> Self {
        let state = State::Up(channel, Standing::Serving, 0);
        let shared = Arc::new(Shared::new(state, watch::Sender::default()));
        Self { address: "in-process".into(), shared, _upkeep: None }
    }

    pub(super) fn state(&self) -> State {
        self.shared.lock().clone()
    }

    pub(super) fn open_count(&self) -> usize {
        self.shared.open_count.load(Ordering::Relaxed)
    }

    /// Counts a call for as long as the result lives.
    pub(super) fn open(&self) -> Open {
        self.shared.open_count.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.shared))
    }

    /// A call has lost this connection. A pipe connects anew by itself.
    pub(super) fn lost(&self, connection: u64) {
        let mut state = self.shared.lock();
        if self._upkeep.is_some() && matches!(&*state, State::Up(_, _, current) if *current == connection) {
            *state = State::Connecting;
            drop(state);
            self.shared.lost.notify_one();
        }
    }
}

/// A call that has not ended.
pub(super) struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn new(state: State, changed: watch::Sender<()>) -> Self {
        Self { state: Mutex::new(state), open_count: AtomicUsize::new(0), lost: Notify::new(), changed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.send_replace(());
    }
}

/// Connects, watches the connection, and connects again.
async fn keep_up(shared: Arc<Shared>, endpoint: Endpoint, health_name: String) {
    let mut pause = FIRST_PAUSE;
    for connection in 0.. {
        let came_up_at = Instant::now();
        if let Ok(Ok(channel)) = timeout(CONNECT_LIMIT, endpoint.connect()).await {
            watch_over(&shared, channel, &health_name, connection).await;
            if came_up_at.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
                shared.set(State::Connecting);
                continue;
            }
        }
        shared.set(State::Failed);
        tokio::time::sleep(repeat::jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks the replica how it is until the connection is lost.
async fn watch_over(shared: &Shared, channel: Channel, health_name: &str, connection: u64) {
    let mut is_new = true;
    while let Some(standing) = probe(&channel, health_name).await {
        {
            let mut state = shared.lock();
            let is_current = matches!(&*state, State::Up(_, _, current) if *current == connection);
            if !is_new && !is_current {
                return;
            }
            *state = State::Up(channel.clone(), standing, connection);
        }
        shared.changed.send_replace(());
        is_new = false;
        tokio::select! {
            () = tokio::time::sleep(repeat::jittered(PROBE_INTERVAL)) => {}
            () = shared.lost.notified() => {}
        }
        if !matches!(&*shared.lock(), State::Up(_, _, current) if *current == connection) {
            return;
        }
    }
}

/// `None` once the connection is lost.
async fn probe(channel: &Channel, health_name: &str) -> Option<Standing> {
    let mut client = HealthClient::new(channel.clone());
    let request = HealthCheckRequest { service: health_name.to_owned() };
    let Ok(answered) = timeout(PROBE_LIMIT, client.check(request)).await else { return Some(Standing::Silent) };
    match answered {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Some(Standing::Serving),
        Ok(_) => Some(Standing::NotServing),
        Err(status) if is_of_transport(&status) => None,
        // It has no such check, or does not know the name: it is there, and that is all there is to know.
        Err(status) if matches!(status.code(), Code::Unimplemented | Code::NotFound) => Some(Standing::Serving),
        Err(_) => Some(Standing::NotServing),
    }
}

/// Only a status that this end made up has a source.
fn is_of_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

pub(super) fn windowed(endpoint: Endpoint) -> Endpoint {
    endpoint.initial_stream_window_size(STREAM_WINDOW_BYTES).initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}
