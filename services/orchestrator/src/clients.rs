//! The other services over gRPC: adapters of `ports`. The only place, beside the faces, that knows
//! generated types.

mod replaying;
mod resuming;
mod student;
mod teacher;
mod training;
mod vae;

use domain::{Error, ImageBatch, Result};
use proto::{status, types::MAX_BATCH_BYTES};
use tonic::Status;

pub use student::StudentClient;
pub use teacher::TeacherClient;
pub use training::TrainerClient;
pub use vae::VaeClient;

/// Reads a failed call. Which service it was is known here and nowhere later.
fn failed(service: &'static str) -> impl Fn(Status) -> Error {
    move |status| match status::to_error(&status) {
        // Nobody here cancels a call and then reads its answer: it is the service that went away.
        Error::UpstreamUnavailable { .. } | Error::Cancelled => {
            Error::UpstreamUnavailable { service: service.to_owned() }
        }
        // What they could not read, or were not to be asked under, is ours: users do not speak to them.
        told @ (Error::MalformedRequest { .. } | Error::MessageTooLarge { .. } | Error::HostNotAllowed { .. }) => {
            Error::unexpected(format!("the {service} service: {told}"))
        }
        other => other,
    }
}

/// What a peer sent is not the caller's mistake: a value that does not convert is our bug.
fn ours<T>(result: Result<T>) -> Result<T> {
    result.map_err(|error| Error::unexpected(format!("a peer's answer does not convert: {error}")))
}

/// Cuts a batch into messages that the services take.
fn batches(images: &ImageBatch, max_image_count: usize) -> impl Iterator<Item = ImageBatch> + '_ {
    let by_bytes = (MAX_BATCH_BYTES / images.shape().pixel_count()).max(1);
    let size = max_image_count.min(by_bytes);
    (0..images.len()).step_by(size).map(move |start| images.slice(start, start + size))
}
