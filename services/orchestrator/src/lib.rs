//! The public face of the system: catalog, explanations and operations over gRPC and grpc-web.

pub mod clients;
mod documents;
pub mod explain;
pub mod explanations;
pub mod grpc;
pub mod ports;
mod upload;
