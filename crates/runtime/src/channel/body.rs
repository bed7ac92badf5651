//! Messages on their way: a request that can be sent more than once, and an answer that is read to its end
//! before it is believed.

use domain::Error;
use futures::stream;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use proto::status;
use tonic::{Status, body::Body, codegen::Bytes};

use super::methods::Method;

/// More than any message of ours: 12 MB for an upload, 4 MiB for everything else.
const MAX_BYTES: usize = 16 << 20;

/// What is sent.
pub(super) enum Outgoing {
    /// One message, as often as needed.
    Whole(Bytes),
    /// A stream, or a stranger's call: once.
    Once(Option<Body>),
}

impl Outgoing {
    /// Reads a request of one message; leaves others as they are.
    pub(super) async fn of(method: Option<Method>, body: Body) -> Result<Self, Status> {
        if method.is_none_or(|method| method.streams_in) {
            return Ok(Self::Once(Some(body)));
        }
        let whole = Limited::new(body, MAX_BYTES).collect().await;
        let too_large =
            |_| status::from_error(Error::invalid("", format!("the message is larger than {MAX_BYTES} bytes")));
        Ok(Self::Whole(whole.map_err(too_large)?.to_bytes()))
    }

    /// The body of the next try.
    pub(super) fn take(&mut self) -> Option<Body> {
        match self {
            Self::Whole(bytes) => Some(Body::new(Full::new(bytes.clone()))),
            Self::Once(body) => body.take(),
        }
    }

    /// Whether there can be another try.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::Whole(_) | Self::Once(Some(_)))
    }
}

/// Reads an answer of one message to its end, so that a connection that breaks in its middle is a failure of
/// the try and not of the call. The frames are given on as they came.
pub(super) async fn read_to_end(mut body: Body) -> Result<(Body, Option<Status>), Status> {
    let mut frames: Vec<Result<Frame<Bytes>, Status>> = Vec::new();
    let mut answered = None;
    let mut size = 0;
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let frame = frame?;
        size += frame.data_ref().map_or(0, Bytes::len);
        if size > MAX_BYTES {
            return Err(Status::out_of_range(format!("the answer is larger than {MAX_BYTES} bytes")));
        }
        if let Some(trailers) = frame.trailers_ref() {
            answered = Status::from_header_map(trailers);
        }
        frames.push(Ok(frame));
    }
    Ok((Body::new(StreamBody::new(stream::iter(frames))), answered))
}
