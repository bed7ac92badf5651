//! Connections to Redis: made here only, checked before they are used.

use std::io;

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};

use tokio::time::timeout;

use super::{Limits, address::Address};

/// Times a cluster's client follows a key to the node that has it now, within the caller's limit.
const REDIRECT_COUNT: u32 = 3;

/// One connection, or one to each node. Cheap to clone.
#[derive(Clone)]
pub(super) enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// What large values go by does not keep small ones waiting.
#[derive(Clone)]
pub(super) struct Links {
    pub(super) small: Link,
    pub(super) large: Link,
}

impl Links {
    /// Two new connections. Redis has answered on the first one.
    pub(super) async fn open(address: &Address, limits: &Limits) -> RedisResult<Self> {
        let mut small = Link::open(address, limits).await?;
        small.ping(limits).await?;
        Ok(Self { small, large: Link::open(address, limits).await? })
    }
}

impl Link {
    async fn open(address: &Address, limits: &Limits) -> RedisResult<Self> {
        if address.is_encrypted() {
            // Fails if there is one already, which is as good.
            rustls::crypto::ring::default_provider().install_default().ok();
        }
        let info = address.info().await?;
        // A cluster's client says only that it found no node: the first one says why.
        let client = match &address.certificates {
            Some(certificates) if address.is_encrypted() => Client::build_with_tls(info.clone(), certificates.clone())?,
            _ => Client::open(info.clone())?,
        };
        // Callers have limits of their own, which are shorter.
        let longest = limits.answer.max(limits.large);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits.connect))
            .set_response_timeout(Some(longest))
            .set_pipeline_buffer_size(limits.concurrency);
        let one = client.get_multiplexed_async_connection_with_config(&config).await?;
        if !address.is_cluster {
            return Ok(Self::One(one));
        }
        Self::One(one).ping(limits).await?;
        let mut builder = ClusterClientBuilder::new([info])
            .retries(REDIRECT_COUNT)
            .connection_timeout(limits.connect)
            .response_timeout(longest);
        if let Some(certificates) = &address.certificates {
            builder = builder.certs(certificates.clone());
        }
        let client: ClusterClient = builder.build()?;
        Ok(Self::Cluster(client.get_async_connection().await?))
    }

    /// Whether it answers, in time for those who will wait for it.
    async fn ping(&mut self, limits: &Limits) -> RedisResult<()> {
        let answer = timeout(limits.answer, ::redis::cmd("PING").query_async(self)).await;
        answer.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(link) => link.req_packed_command(cmd),
            Self::Cluster(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(link) => link.req_packed_commands(pipeline, offset, count),
            Self::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(link) => link.get_db(),
            Self::Cluster(link) => link.get_db(),
        }
    }
}
