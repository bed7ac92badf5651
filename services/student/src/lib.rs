//! The student service: distills a linear classifier from soft labels, and says how far to trust it.
//! Stateless and deterministic: the same neighbors give the same bytes, however they are cut into chunks.

mod adam;
mod config;
pub mod control;
pub mod distillation;
mod grpc;
mod lbfgs;
mod objective;
mod ridge;
#[cfg(test)]
mod testing;
mod turn;

use domain::Result;
use proto::raw::{DESCRIPTORS, deeper::student::v1::student_service_server::StudentServiceServer};
use runtime::{
    gate::Gate,
    server::{Connections, MAX_MESSAGE_BYTES, Server, tcp_with},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use distillation::{Distiller, FitProgress};
pub use grpc::MAX_OPEN_DISTILLATIONS;

/// Answers calls until `shutdown` is cancelled or the connections end. Fits pass the process's gate.
pub async fn serve(gate: Gate, incoming: impl Connections, shutdown: CancellationToken) -> Result<()> {
    let face = StudentServiceServer::new(grpc::Face::new(gate))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Server::new("student", DESCRIPTORS).add(face).serve(incoming, shutdown).await
}

/// The composition root of the process of its own. There is no adapter to join: the core computes itself.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
    serve(Gate::new(), tcp_with(listener, &config.connections), shutdown).await
}
