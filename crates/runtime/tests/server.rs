//! Servers and channels as services use them: deadlines, departures, drains, sizes and losses, over an
//! in-process pipe and over a socket.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use domain::{Error, Result};
use futures::StreamExt;
use http::uri::PathAndQuery;
use proto::status::to_error;
use runtime::{
    call::Context,
    channel::{self, Channel},
    server::{self, Server},
    status,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, body::Body, codegen::Service, server::NamedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// A service of two methods over strings: `Ask` answers at once or waits for its context's end, `Watch`
/// answers once and then waits.
#[derive(Clone)]
struct Oracle {
    /// Every call's context.
    calls: mpsc::UnboundedSender<Context>,
}

impl NamedService for Oracle {
    const NAME: &'static str = "test.v1.Oracle";
}

async fn answer(
    calls: mpsc::UnboundedSender<Context>,
    request: Request<String>,
) -> Result<(Response<String>, Context), Status> {
    let context = Context::of(&request);
    // Not every test reads them.
    calls.send(context.clone()).ok();
    match request.get_ref().as_str() {
        "wait" => Err(status::from_error(context.ended().await)),
        "finish in 3 s" => {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok((Response::new("finished".to_owned()), context))
        }
        "never" => std::future::pending().await,
        "fail" => Err(status::from_error(Error::unexpected("the secret cause"))),
        question => Ok((Response::new(format!("{} bytes", question.len())), context)),
    }
}

type Answers = Pin<Box<dyn futures::Stream<Item = Result<String, Status>> + Send>>;

impl Service<http::Request<Body>> for Oracle {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let calls = self.calls.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default())
                .max_decoding_message_size(server::MAX_MESSAGE_BYTES);
            let watches = request.uri().path().ends_with("Watch");
            if watches {
                let watch = service_fn(move |request| {
                    let answered = answer(calls.clone(), request);
                    async move {
                        let (response, context) = answered.await?;
                        let first = futures::stream::iter([Ok(response.into_inner())]);
                        let rest = futures::stream::once(async move {
                            context.draining.cancelled().await;
                            Err(Status::unavailable("draining"))
                        });
                        Ok::<_, Status>(Response::new(Box::pin(first.chain(rest)) as Answers))
                    }
                });
                Ok(grpc.server_streaming(watch, request).await)
            } else {
                let ask = service_fn(move |request| {
                    let answered = answer(calls.clone(), request);
                    async move { Ok::<_, Status>(answered.await?.0) }
                });
                Ok(grpc.unary(ask, request).await)
            }
        })
    }
}

struct World {
    channel: Channel,
    calls: mpsc::UnboundedReceiver<Context>,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<()>>,
}

fn world() -> World {
    let (channel, incoming) = channel::in_process("oracle");
    let (sender, calls) = mpsc::unbounded_channel();
    let shutdown = CancellationToken::new();
    let server = Server::new("oracle", proto::raw::DESCRIPTORS).add(Oracle { calls: sender });
    let serving = tokio::spawn(server.serve(incoming, shutdown.clone()));
    World { channel, calls, shutdown, serving }
}

async fn ask(channel: &Channel, request: Request<String>) -> Result<String> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|status| to_error(&status))?;
    let path = PathAndQuery::from_static("/test.v1.Oracle/Ask");
    let answered = grpc.unary(request, path, ProstCodec::<String, String>::default()).await;
    Ok(answered.map_err(|status| to_error(&status))?.into_inner())
}

async fn watch(channel: &Channel, request: Request<String>) -> Result<Streaming<String>> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|status| to_error(&status))?;
    let path = PathAndQuery::from_static("/test.v1.Oracle/Watch");
    let answered = grpc.server_streaming(request, path, ProstCodec::<String, String>::default()).await;
    Ok(answered.map_err(|status| to_error(&status))?.into_inner())
}

async fn next(answers: &mut Streaming<String>) -> Result<Option<String>> {
    answers.message().await.map_err(|status| to_error(&status))
}

fn question(text: &str) -> Request<String> {
    Request::new(text.to_owned())
}

fn within(text: &str, limit: Duration) -> Request<String> {
    Context::default().within(limit).request(text.to_owned())
}

#[tokio::test]
async fn a_call_is_answered_over_a_pipe_and_over_a_socket() {
    let pipe = world();
    assert_eq!(ask(&pipe.channel, question("why")).await.unwrap(), "3 bytes");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (calls, _calls) = mpsc::unbounded_channel();
    let shutdown = CancellationToken::new();
    let server = Server::new("oracle", proto::raw::DESCRIPTORS).add(Oracle { calls });
    let serving = tokio::spawn(server.serve(server::tcp(listener), shutdown.clone()));
    let channel = channel::connect("oracle", &address).unwrap();
    assert_eq!(ask(&channel, question("why")).await.unwrap(), "3 bytes");
    shutdown.cancel();
    assert_eq!(serving.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_call_and_its_work() {
    let mut world = world();
    for text in ["wait", "never"] {
        let outcome = ask(&world.channel, within(text, Duration::from_secs(5))).await;
        assert_eq!(outcome, Err(Error::DeadlineExceeded), "{text}");
        world.calls.recv().await.unwrap().cancellation.cancelled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_also_ends_a_stream_that_has_begun() {
    let mut world = world();
    let mut answers = watch(&world.channel, within("why", Duration::from_secs(5))).await.unwrap();
    assert_eq!(next(&mut answers).await, Ok(Some("3 bytes".into())));
    assert_eq!(next(&mut answers).await, Err(Error::DeadlineExceeded));
    world.calls.recv().await.unwrap().cancellation.cancelled().await;
}

#[tokio::test]
async fn a_caller_that_leaves_ends_its_work() {
    let mut world = world();
    let channel = world.channel.clone();
    let asking = tokio::spawn(async move { ask(&channel, question("never")).await });
    let context = world.calls.recv().await.unwrap();
    assert_eq!(context.check(), Ok(()));
    asking.abort();
    context.cancellation.cancelled().await;

    let mut answers = watch(&world.channel, question("why")).await.unwrap();
    assert_eq!(next(&mut answers).await, Ok(Some("3 bytes".into())));
    let context = world.calls.recv().await.unwrap();
    assert_eq!(context.check(), Ok(()));
    drop(answers);
    context.cancellation.cancelled().await;
}

#[tokio::test]
async fn a_call_that_succeeds_has_not_cancelled_itself_before_its_answer() {
    let mut world = world();
    let answer = ask(&world.channel, within("why", Duration::from_secs(60))).await;
    assert_eq!(answer.unwrap(), "3 bytes");
    assert!(world.calls.recv().await.unwrap().deadline.is_some());
}

#[tokio::test]
async fn the_cause_of_an_unexpected_failure_stays_on_the_server() {
    let world = world();
    let Err(Error::Unexpected(told)) = ask(&world.channel, question("fail")).await else { panic!("no failure") };
    assert!(told.contains("request ") && !told.contains("secret"), "{told}");
}

#[tokio::test]
async fn a_malformed_deadline_and_a_message_too_large_are_the_callers_mistakes() {
    let world = world();
    let mut request = question("why");
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let Err(Error::InvalidFields(violations)) = ask(&world.channel, request).await else { panic!("taken") };
    assert_eq!(violations.iter().next().unwrap().field, "grpc-timeout");

    let large = "x".repeat(server::MAX_MESSAGE_BYTES);
    let limit_bytes = server::MAX_MESSAGE_BYTES as u64;
    assert_eq!(ask(&world.channel, question(&large)).await, Err(Error::MessageTooLarge { limit_bytes }));
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented_with_details() {
    let world = world();
    let mut grpc = tonic::client::Grpc::new(world.channel.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/test.v1.Unheard/Of");
    let answered = grpc.unary(question("why"), path, ProstCodec::<String, String>::default()).await;
    let status: Status = answered.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert!(!status.details().is_empty());
    assert!(status.message().contains("test.v1.Unheard/Of"), "{status:?}");
}

#[tokio::test]
async fn more_calls_than_there_are_places_are_refused_at_once() {
    let mut world = world();
    let mut asking = tokio::task::JoinSet::new();
    // Three quarters of 512: one caller's share.
    for _ in 0..384 {
        let channel = world.channel.clone();
        asking.spawn(async move { ask(&channel, question("never")).await });
    }
    for _ in 0..384 {
        world.calls.recv().await.unwrap();
    }
    let refused = ask(&world.channel, question("why")).await;
    assert_eq!(refused, Err(Error::QueueFull { engine: "oracle".into(), retry_after_ms: 1_000 }));
    asking.shutdown().await;
    while ask(&world.channel, question("why")).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let gone = |service: &str| Err(Error::UpstreamUnavailable { service: service.into() });
    let (channel, incoming) = channel::in_process("oracle");
    drop(incoming);
    assert_eq!(ask(&channel, question("why")).await, gone("oracle"));

    // Bound, so that nobody else gets it, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    let channel = channel::connect("seer", &address).unwrap();
    assert_eq!(ask(&channel, question("why")).await, gone("seer"));
    assert!(matches!(channel::connect("seer", "no address"), Err(Error::InvalidFields(_))));
}

#[tokio::test]
async fn a_service_that_dies_in_the_middle_is_named_and_found_again() {
    let start = |listener: std::net::TcpListener| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (calls, _) = mpsc::unbounded_channel();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let server = Server::new("oracle", proto::raw::DESCRIPTORS).add(Oracle { calls });
            server.serve(server::tcp(listener), CancellationToken::new()).await
        });
        runtime
    };
    let bind = |address: &str| {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    };
    let listener = bind("127.0.0.1:0");
    let address = listener.local_addr().unwrap().to_string();
    let first = start(listener);
    let channel = channel::connect("oracle", &format!("http://{address}")).unwrap();
    let mut answers = watch(&channel, question("why")).await.unwrap();
    assert_eq!(next(&mut answers).await, Ok(Some("3 bytes".into())));
    let killed = tokio::task::spawn_blocking(move || first.shutdown_timeout(Duration::from_secs(10)));
    assert_eq!(next(&mut answers).await, Err(Error::UpstreamUnavailable { service: "oracle".into() }));

    killed.await.unwrap();
    let second = start(bind(&address));
    let found = runtime::retry::persist(|| ask(&channel, question("why"))).await;
    assert_eq!(found.unwrap(), "3 bytes");
    second.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_calls_finish_and_ends_what_is_left() {
    let mut world = world();
    let asks = ["finish in 3 s", "never"].map(|text| {
        let channel = world.channel.clone();
        tokio::spawn(async move { ask(&channel, question(text)).await })
    });
    let mut answers = watch(&world.channel, question("why")).await.unwrap();
    assert_eq!(next(&mut answers).await, Ok(Some("3 bytes".into())));
    for _ in 0..3 {
        world.calls.recv().await.unwrap();
    }
    let asked_to_stop = tokio::time::Instant::now();
    world.shutdown.cancel();
    let gone = Error::UpstreamUnavailable { service: "remote".into() };
    assert_eq!(next(&mut answers).await, Err(gone), "an endless stream ends with the drain");
    let [finishing, never] = asks;
    assert_eq!(finishing.await.unwrap(), Ok("finished".into()));
    assert_eq!(never.await.unwrap(), Err(Error::UpstreamUnavailable { service: "oracle".into() }));
    assert_eq!(world.serving.await.unwrap(), Ok(()));
    let took = asked_to_stop.elapsed();
    assert!(took >= server::DRAIN && took < server::DRAIN + Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn health_tells_what_was_set_and_nothing_serves_after_the_stop() {
    let (channel, incoming) = channel::in_process("oracle");
    let (calls, _calls) = mpsc::unbounded_channel();
    let shutdown = CancellationToken::new();
    let server = Server::new("oracle", proto::raw::DESCRIPTORS).add(Oracle { calls });
    let health = server.health();
    health.set(Oracle::NAME, false).await;
    let serving = tokio::spawn(server.serve(incoming, shutdown.clone()));
    let mut client = HealthClient::new(channel);
    let request = HealthCheckRequest { service: Oracle::NAME.to_owned() };
    let mut statuses = client.watch(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    told.push(statuses.message().await.unwrap().unwrap().status().as_str_name());
    health.set(Oracle::NAME, true).await;
    told.push(statuses.message().await.unwrap().unwrap().status().as_str_name());
    shutdown.cancel();
    told.push(statuses.message().await.unwrap().unwrap().status().as_str_name());
    assert_eq!(told, ["NOT_SERVING", "SERVING", "NOT_SERVING"]);
    drop((statuses, client));
    assert_eq!(serving.await.unwrap(), Ok(()));
}
