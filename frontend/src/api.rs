//! The only door to the server, and the only place on the page that knows generated types. Values of the
//! domain go in and come out; dropping a future or a stream ends the call at the server too.

pub mod backoff;
mod catalog;
mod explanations;
pub mod trace;

use std::{error::Error as _, rc::Rc, time::Duration};

use domain::{Error, Result};
use proto::{
    raw::{
        deeper::{
            catalog::v1::catalog_service_client::CatalogServiceClient,
            explanation::v1::explanation_service_client::ExplanationServiceClient,
        },
        google::longrunning::{CancelOperationRequest, operations_client::OperationsClient},
    },
    status,
};
use tonic::{Request, Status, Streaming};
use tonic_web_wasm_client::{Client, options::FetchOptions};

pub use explanations::{Fitting, StudentAnswer};
pub use trace::Tracer;

use crate::components::problem::SERVER;

/// Longest wait for an answer that is not a stream.
const UNARY_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls to the server the page came from. Cheap to clone; all clones share one trace.
#[derive(Debug, Clone)]
pub struct Api {
    origin: Rc<str>,
    tracer: Tracer,
}

impl PartialEq for Api {
    /// There is one server.
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin
    }
}

impl Api {
    /// Calls `origin`: scheme, host and port.
    pub fn new(origin: &str, tracer: Tracer) -> Self {
        Self { origin: origin.into(), tracer }
    }

    /// Which click the next request belongs to.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Asks for an operation to stop. It ends within one batch.
    pub async fn cancel_operation(&self, name: &str) -> Result<()> {
        let request = CancelOperationRequest { name: name.to_owned() };
        let mut client = OperationsClient::new(self.client(Some(UNARY_TIMEOUT)));
        client.cancel_operation(self.request(request)).await.map_err(|status| error_of(&status))?;
        Ok(())
    }

    fn catalog(&self) -> CatalogServiceClient<Client> {
        CatalogServiceClient::new(self.client(Some(UNARY_TIMEOUT)))
    }

    fn explanations(&self) -> ExplanationServiceClient<Client> {
        ExplanationServiceClient::new(self.client(Some(UNARY_TIMEOUT)))
    }

    fn catalog_streams(&self) -> CatalogServiceClient<Client> {
        CatalogServiceClient::new(self.client(None))
    }

    fn explanation_streams(&self) -> ExplanationServiceClient<Client> {
        ExplanationServiceClient::new(self.client(None))
    }

    fn client(&self, timeout: Option<Duration>) -> Client {
        Client::new_with_options(self.origin.to_string(), FetchOptions { timeout, ..FetchOptions::default() })
    }

    /// A request that continues the trace of the person's last click.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Ok(value) = self.tracer.traceparent().parse() {
            request.metadata_mut().insert("traceparent", value);
        }
        request
    }
}

/// A stream whose messages are read one by one. Dropping it ends the call.
pub struct Watch<R, T> {
    stream: Streaming<R>,
    read: fn(R) -> Result<T>,
}

impl<R, T> Watch<R, T> {
    fn new(stream: Streaming<R>, read: fn(R) -> Result<T>) -> Self {
        Self { stream, read }
    }

    /// The next message; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<T>> {
        match self.stream.message().await {
            Ok(Some(message)) => (self.read)(message).map(Some),
            Ok(None) => Ok(None),
            Err(status) => Err(error_of(&status)),
        }
    }
}

/// A status as the domain says it. What never reached the server has no details: it is told apart by
/// where it comes from.
fn error_of(status: &Status) -> Error {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<tonic_web_wasm_client::Error>() {
            return match error {
                tonic_web_wasm_client::Error::TonicStatusError(inner) => status::to_error(inner),
                _ => Error::UpstreamUnavailable { service: SERVER.to_owned() },
            };
        }
        cause = error.source();
    }
    status::to_error(status)
}

/// Something the server must not leave out, but did.
fn incomplete(what: &str) -> Error {
    Error::unexpected(format!("the answer has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_there_is_told_as_such() {
        let lost = tonic_web_wasm_client::Error::JsError("TypeError: Failed to fetch".to_owned());
        let error = error_of(&Status::from_error(Box::new(lost)));
        assert!(matches!(error, Error::UpstreamUnavailable { .. }), "{error:?}");
    }

    #[test]
    fn a_status_from_the_server_keeps_its_meaning() {
        let gone = Error::NotFound { kind: "EXPLANATION", resource: "explanations/x".to_owned() };
        assert_eq!(error_of(&status::from_error(gone.clone())), gone);
    }
}
