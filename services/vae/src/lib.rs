//! The autoencoder service: encodes images, decodes latent points, draws the neighborhood of an instance,
//! and trains. What it computes does not depend on who else asks, on chunks or on order.

#[cfg(feature = "torch")]
pub mod config;
pub mod grpc;
pub mod interpolation;
pub mod job;
pub mod model;
pub mod models;
pub mod neighborhood;
#[cfg(feature = "torch")]
pub mod networks;
#[cfg(feature = "torch")]
pub mod stored;
#[cfg(feature = "torch")]
pub mod training;
pub mod vae;

use std::sync::Arc;

use domain::{ResourceName, Result};
use proto::raw::{
    DESCRIPTORS,
    deeper::vae::v1::vae_service_server::{SERVICE_NAME, VaeServiceServer},
};
use runtime::{
    readiness,
    server::{Connections, MAX_MESSAGE_BYTES, Server},
};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "torch")]
pub use config::{Config, Task, run, train};
pub use models::Models;

/// Serves these models until `shutdown`. Free of libtorch: the binary, the standalone system and the
/// tests call it with theirs.
pub async fn serve(models: Arc<impl Models>, incoming: impl Connections, shutdown: CancellationToken) -> Result<()> {
    serve_warm(models, &[], incoming, shutdown).await
}

/// As [`serve`]; says SERVING only once all of `autoencoders` are loaded.
pub async fn serve_warm(
    models: Arc<impl Models>,
    autoencoders: &[ResourceName],
    incoming: impl Connections,
    shutdown: CancellationToken,
) -> Result<()> {
    let places = models.queue().queue_capacity.into();
    let face = VaeServiceServer::new(grpc::Face::new(Arc::clone(&models)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let server = Server::new("vae", DESCRIPTORS).add(face).places(places);
    let load = async |autoencoder: ResourceName| models.model(&autoencoder).await.map(drop);
    readiness::serve_warm(server, SERVICE_NAME, autoencoders, load, incoming, shutdown).await
}
