//! Everything that `cargo xtask up --cluster` starts, with small trained models: Redis, three teachers, two of every
//! other service, nginx in front.

use std::{net::SocketAddr, path::Path};

use crate::{
    api::Api,
    cluster::Cluster,
    nginx::{self, Nginx},
    redis::Redis,
    small::mnist_folder,
};

/// Teachers, vaes, students and orchestrators.
const COUNTS: [usize; 4] = [3, 2, 2, 2];
/// The service that nginx stands in front of.
pub const ORCHESTRATOR: &str = "orchestrator";

/// A running cluster as its users have it.
pub struct Whole {
    /// gRPC through nginx.
    pub api: Api,
    /// In front.
    pub nginx: Nginx,
    /// Behind it: its own `api` passes nginx by.
    pub cluster: Cluster,
    /// What orchestrators share.
    pub redis: Redis,
}

impl Whole {
    /// With a built page, or without one. `None`, with a line that says why, where something for it is missing.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(page: Option<&Path>) -> Option<Self> {
        let (mnist, program) = (mnist_folder()?, nginx::program()?);
        let redis = Redis::start().await;
        let mut flags = vec![("--cache-url", redis.url())];
        flags.extend(page.map(|page| ("--page-dir", page.to_string_lossy().into_owned())));
        let cluster = Cluster::start_with(&mnist, COUNTS, flags).await;
        let orchestrators: Vec<SocketAddr> =
            (0..COUNTS[3]).map(|index| cluster.member(ORCHESTRATOR, index).address).collect();
        let nginx = Nginx::start(&program, &orchestrators).await;
        let channel = runtime::channel::connect(ORCHESTRATOR, &format!("http://{}", nginx.api));
        let api = Api::over(channel.expect("a port is an address"));
        Some(Self { api, nginx, cluster, redis })
    }
}
