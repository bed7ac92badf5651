//! A network that misbehaves on request: a proxy in front of a server of a test.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Its work.
    Fine,
    /// Answers take so much longer.
    Slow(Duration),
    /// Connections are accepted and closed, those that there are as well.
    Reset,
    /// Connections stay open, and nothing comes back.
    Silent,
    /// So many bytes of an answer come back, then the connection is closed.
    Truncating(usize),
    /// Answers come back with every byte changed.
    Garbling,
}

/// A proxy. Dropping it closes everything that goes through it.
pub struct Proxy {
    /// Where clients connect to.
    pub address: SocketAddr,
    network: watch::Sender<Network>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// In front of `target`, on a port of its own.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let network = watch::Sender::new(Network::Fine);
        let serving = tokio::spawn(serve(listener, target, network.subscribe()));
        Self { address, network, serving }
    }

    /// From now on, for connections that there are as well.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, network: watch::Receiver<Network>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(pass(client, target, network.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(client: TcpStream, target: SocketAddr, mut network: watch::Receiver<Network>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = network.clone();
    tokio::select! {
        () = forward(from_client, to_server) => {}
        () = answer(from_server, to_client, answers) => {}
        _ = network.wait_for(|network| *network == Network::Reset) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    tokio::io::copy(&mut from, &mut to).await.ok();
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, network: watch::Receiver<Network>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &mut buffer[..length];
        let now = *network.borrow();
        let written = match now {
            Network::Fine => to.write_all(bytes).await,
            Network::Slow(delay) => {
                sleep(delay).await;
                to.write_all(bytes).await
            }
            Network::Silent => Ok(()),
            Network::Garbling => {
                bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
                to.write_all(bytes).await
            }
            Network::Truncating(count) => {
                to.write_all(&bytes[..count.min(length)]).await.ok();
                return;
            }
            Network::Reset => return,
        };
        if written.is_err() {
            return;
        }
    }
}
