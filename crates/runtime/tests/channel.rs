//! Calls over several replicas of a service: who gets them, and what becomes of those whose replica drains,
//! dies or falls silent.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{Error, Result};
use proto::{
    raw::google::longrunning::{
        CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
        ListOperationsResponse, Operation, WaitOperationRequest,
        operations_client::OperationsClient,
        operations_server::{Operations, OperationsServer},
    },
    status::to_error,
};
use runtime::{
    call::{Caller, Context},
    channel::{self, Channel, Tried},
    server::{self, ConnectionConfig, Server},
    status::from_error,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// A replica of a service whose calls take as long as their name says, in milliseconds.
#[derive(Clone, Default)]
struct Replica {
    name: String,
    calls: Arc<AtomicUsize>,
    contexts: Arc<Mutex<Vec<Context>>>,
    /// The other ends of the connections that calls came over.
    connections: Arc<Mutex<BTreeSet<SocketAddr>>>,
    /// Answers every call like this.
    refuses: Option<Error>,
    /// After so many seconds a connection is asked to close; 0: never.
    max_connection_age_seconds: u32,
}

#[tonic::async_trait]
impl Operations for Replica {
    async fn get_operation(&self, request: Request<GetOperationRequest>) -> Result<Response<Operation>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.contexts.lock().unwrap().push(Context::current());
        self.connections.lock().unwrap().extend(request.remote_addr());
        if let Some(error) = &self.refuses {
            return Err(from_error(error.clone()));
        }
        let took = request.get_ref().name.parse().unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(took)).await;
        Ok(Response::new(Operation { name: self.name.clone(), ..Operation::default() }))
    }

    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        unreachable!("nobody lists")
    }

    /// Not repeatable, as the proto file says.
    async fn delete_operation(&self, _: Request<DeleteOperationRequest>) -> Result<Response<()>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }

    async fn cancel_operation(&self, _: Request<CancelOperationRequest>) -> Result<Response<()>, Status> {
        unreachable!("nobody cancels")
    }

    async fn wait_operation(&self, _: Request<WaitOperationRequest>) -> Result<Response<Operation>, Status> {
        unreachable!("nobody waits")
    }
}

/// A replica on a runtime of its own, which can be killed.
struct Running {
    replica: Replica,
    address: SocketAddr,
    shutdown: CancellationToken,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Running {
    fn start(name: &str) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), Replica { name: name.into(), ..Replica::default() })
    }

    fn start_at(address: SocketAddr, replica: Replica) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shutdown = CancellationToken::new();
        let server = Server::new("replicas", proto::raw::DESCRIPTORS).add(OperationsServer::new(replica.clone()));
        let stop = shutdown.clone();
        let config = ConnectionConfig { max_connection_age_seconds: replica.max_connection_age_seconds };
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            server.serve(server::tcp_with(listener, &config), stop).await.unwrap();
        });
        Self { replica, address, shutdown, runtime: Some(runtime) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn calls(&self) -> usize {
        self.replica.calls.load(Ordering::Relaxed)
    }

    /// Its connections break at once, as those of a killed process do.
    fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn connect(replicas: &[Running]) -> Channel {
    let urls: Vec<String> = replicas.iter().map(Running::url).collect();
    channel::connect("replicas", &urls.join(",")).unwrap()
}

async fn get(channel: &Channel, name: &str) -> Result<String> {
    let request = GetOperationRequest { name: name.to_owned() };
    let answered = OperationsClient::new(channel.clone()).get_operation(request).await;
    Ok(answered.map_err(|status| to_error(&status))?.into_inner().name)
}

fn three() -> Vec<Running> {
    ["a", "b", "c"].map(Running::start).into()
}

/// Waits until calls go to so many different replicas.
async fn until_spread(channel: &Channel, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut names = Vec::new();
        for _ in 0..2 * count {
            names.push(get(channel, "0").await.unwrap());
        }
        names.sort_unstable();
        names.dedup();
        if names.len() == count {
            return;
        }
        assert!(Instant::now() < deadline, "only {names:?}");
    }
}

#[tokio::test]
async fn work_is_spread_over_all_replicas_evenly() {
    let replicas = three();
    let channel = connect(&replicas);
    until_spread(&channel, 3).await;
    let before: Vec<usize> = replicas.iter().map(Running::calls).collect();
    let work = (0..300).map(|index| {
        let channel = channel.clone();
        tokio::spawn(async move { get(&channel, if index % 7 == 0 { "20" } else { "3" }).await.unwrap() })
    });
    futures::future::join_all(work.collect::<Vec<_>>()).await;
    for (replica, before) in replicas.iter().zip(before) {
        let share = replica.calls() - before;
        assert!((80..=120).contains(&share), "{share} of 300");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_call() {
    let mut replicas = three();
    let channel = connect(&replicas);
    until_spread(&channel, 3).await;
    let stop = CancellationToken::new();
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (channel, stop) = (channel.clone(), stop.clone());
            tokio::spawn(async move {
                let mut count = 0;
                while !stop.is_cancelled() {
                    get(&channel, "5").await.unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    for replica in &mut replicas {
        replica.shutdown.cancel();
        // Its drain: what it has is answered, and the port closes.
        while tokio::net::TcpStream::connect(replica.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (address, name) = (replica.address, replica.replica.name.clone());
        replica.runtime.take().unwrap().shutdown_background();
        *replica = Running::start_at(address, Replica { name, ..Replica::default() });
        let back = Instant::now();
        while replica.calls() == 0 {
            assert!(back.elapsed() < Duration::from_secs(5), "{} is not found again", replica.replica.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.cancel();
    for caller in callers {
        assert!(caller.await.unwrap() > 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_killed_replica_are_answered_by_another_and_only_where_that_is_safe() {
    let mut replicas = three();
    let channel = connect(&replicas);
    until_spread(&channel, 3).await;
    let before: Vec<usize> = replicas.iter().map(Running::calls).collect();
    let reads: Vec<_> = (0..30)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { get(&channel, "400").await })
        })
        .collect();
    let deletes: Vec<_> = (0..3)
        .map(|_| {
            let mut client = OperationsClient::new(channel.clone());
            tokio::spawn(async move { client.delete_operation(DeleteOperationRequest::default()).await })
        })
        .collect();
    let begun = Instant::now();
    let all_begun = || replicas.iter().zip(&before).map(|(replica, before)| replica.calls() - before).sum::<usize>();
    while all_begun() < 33 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    replicas[0].kill();
    for read in reads {
        let name = read.await.unwrap().unwrap();
        assert!(name == "b" || name == "c", "{name}");
    }
    replicas[1].kill();
    replicas[2].kill();
    for delete in deletes {
        let failed = to_error(&delete.await.unwrap().unwrap_err());
        assert_eq!(failed, Error::UpstreamUnavailable { service: "replicas".into() });
    }
    let gone = Instant::now();
    assert!(get(&channel, "0").await.is_err());
    assert!(gone.elapsed() < Duration::from_secs(5), "nobody waits for ever");
}

#[tokio::test]
async fn a_replica_that_is_silent_or_not_serving_gets_no_calls() {
    let serving = Running::start("serving");
    // Accepts connections, reads nothing and says nothing, as a stopped process does.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let channel = channel::connect("replicas", &format!("{silent_url},{}", serving.url())).unwrap();
    let began = Instant::now();
    for _ in 0..200 {
        assert_eq!(get(&channel, "0").await.unwrap(), "serving");
    }
    assert!(began.elapsed() < Duration::from_secs(2));
    // A deadline is kept, whoever is asked.
    let alone = channel::connect("replicas", &silent_url).unwrap();
    let mut request = Request::new(GetOperationRequest::default());
    request.set_timeout(Duration::from_millis(300));
    let failed = OperationsClient::new(alone).get_operation(request).await.unwrap_err();
    assert_eq!(to_error(&failed), Error::DeadlineExceeded);
}

#[tokio::test]
async fn a_full_replica_is_left_for_another_and_a_list_of_the_tried_is_kept() {
    let full = Error::QueueFull { engine: "replicas".into(), retry_after_ms: 900 };
    let refuses = Replica { name: "full".into(), refuses: Some(full.clone()), ..Replica::default() };
    let replicas = [Running::start_at("127.0.0.1:0".parse().unwrap(), refuses), Running::start("free")];
    let channel = connect(&replicas);
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(get(&channel, "0").await.unwrap(), "free");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "another replica is asked at once");
    assert!(replicas[0].calls() > 0, "it was asked first now and then");

    // Whoever decides by itself asks each replica once.
    let once = channel.without_repeats();
    let mut answers = Vec::new();
    let tried = Tried::default();
    while once.has_untried(&tried) {
        let mut request = Request::new(GetOperationRequest::default());
        request.extensions_mut().insert(tried.clone());
        let answered = OperationsClient::new(once.clone()).get_operation(request).await;
        answers.push(answered.map(|answer| answer.into_inner().name).map_err(|status| to_error(&status)));
    }
    assert_eq!(answers.len(), 2);
    assert!(answers.contains(&Ok("free".into())) && answers.contains(&Err(full)), "{answers:?}");
}

#[tokio::test]
async fn a_name_is_as_many_replicas_as_it_has_addresses() {
    let replica = Running::start("named");
    let channel = channel::connect("replicas", &format!("dns:///localhost:{}", replica.address.port())).unwrap();
    assert_eq!(get(&channel, "0").await.unwrap(), "named");
    let unknown = channel::connect("replicas", "dns:///no-such-name.invalid:80").unwrap();
    assert_eq!(get(&unknown, "0").await, Err(Error::UpstreamUnavailable { service: "replicas".into() }));
}

#[tokio::test]
async fn what_is_left_of_the_deadline_and_the_caller_go_along() {
    let replica = Running::start("a");
    let channel = connect(std::slice::from_ref(&replica));
    let context = Context { caller: Caller::new("ada").unwrap(), ..Context::default() };
    let context = context.within(Duration::from_secs(30));
    tokio::time::sleep(Duration::from_millis(50)).await;
    context.scope(get(&channel, "0")).await.unwrap();
    get(&channel, "0").await.unwrap();
    let seen = replica.replica.contexts.lock().unwrap().clone();
    assert_eq!(seen[0].caller.to_string(), "ada");
    let left = seen[0].remaining().unwrap();
    assert!(left > Duration::from_secs(20) && left < Duration::from_millis(29_960), "{left:?}");
    assert_eq!(seen[1].caller.to_string(), "address:127.0.0.1");
    assert_eq!(seen[1].deadline, None);
}

#[tokio::test]
async fn connections_are_replaced_when_they_are_old_and_no_call_notices() {
    let aging = Replica { max_connection_age_seconds: 1, ..Replica::default() };
    let replica = Running::start_at("127.0.0.1:0".parse().unwrap(), aging);
    let channel = connect(std::slice::from_ref(&replica));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        get(&channel, "3").await.unwrap();
    }
    let connections = replica.replica.connections.lock().unwrap().len();
    assert!((2..=6).contains(&connections), "{connections} connections");
}
