//! Where a server's connections come from, and how old one may grow.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use futures::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::Sleep,
};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use crate::channel::{Incoming, jittered};

/// How much longer than its age a connection may live for the calls that it has; then it is cut, and long
/// streams go on over another one. tonic's own grace is not used: with it, 0.14 cuts connections that were
/// never asked to close.
const GRACE: Duration = Duration::from_secs(3_600);

/// How connections are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct ConnectionConfig {
    /// Seconds after which a connection is asked to close, ±20 %, so that clients spread over new replicas;
    /// 0: never. The calls that it has may take an hour more.
    #[arg(
        long,
        env = "DEEPER_MAX_CONNECTION_AGE_SECONDS",
        default_value_t = 1_800,
        value_parser = clap::value_parser!(u32).range(0..=86_400),
    )]
    pub max_connection_age_seconds: u32,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self { max_connection_age_seconds: 1_800 }
    }
}

/// What [`super::Server::serve`] takes connections from: a socket ([`tcp`]) or a pipe within the process
/// ([`Incoming`]).
pub trait Connections: Stream<Item = Result<Self::Connection, Self::Error>> + Send + 'static {
    /// One peer.
    type Connection: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;
    /// Why a peer could not be accepted; the server goes on with the next one.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send;

    /// When a connection is asked to close.
    fn max_age(&self) -> Option<Duration> {
        None
    }
}

impl Connections for Incoming {
    type Connection = tokio::io::DuplexStream;
    type Error = io::Error;
}

/// A listener as connections.
pub fn tcp(listener: TcpListener) -> Tcp {
    tcp_with(listener, &ConnectionConfig::default())
}

/// A listener as connections that are treated as configured.
pub fn tcp_with(listener: TcpListener, config: &ConnectionConfig) -> Tcp {
    let age = Duration::from_secs(config.max_connection_age_seconds.into());
    let max_age = (!age.is_zero()).then(|| jittered(age));
    Tcp { incoming: TcpIncoming::from(listener).with_nodelay(Some(true)), max_age }
}

/// Connections of a socket.
#[derive(Debug)]
pub struct Tcp {
    incoming: TcpIncoming,
    max_age: Option<Duration>,
}

impl Stream for Tcp {
    type Item = io::Result<Mortal>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let max_age = self.max_age;
        Pin::new(&mut self.incoming).poll_next(task).map(|next| {
            let end = || max_age.map(|age| Box::pin(tokio::time::sleep(age + GRACE)));
            next.map(|accepted| accepted.map(|io| Mortal { io, end: end() }))
        })
    }
}

impl Connections for Tcp {
    type Connection = Mortal;
    type Error = io::Error;

    fn max_age(&self) -> Option<Duration> {
        self.max_age
    }
}

/// A connection that is cut when its time is over.
#[derive(Debug)]
pub struct Mortal {
    io: TcpStream,
    end: Option<Pin<Box<Sleep>>>,
}

impl Mortal {
    /// The address of the other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.peer_addr()
    }
}

impl Connected for Mortal {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.io.connect_info()
    }
}

impl AsyncRead for Mortal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // HTTP/2 always waits for the other end's next frame, so that this is always polled.
        if let Some(end) = &mut self.end
            && end.as_mut().poll(task).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the connection is too old")));
        }
        Pin::new(&mut self.io).poll_read(task, buffer)
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(task)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(task, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
