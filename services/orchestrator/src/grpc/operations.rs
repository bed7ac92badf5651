//! `google.longrunning.Operations` over both kinds of long work: trainings have a registry, an
//! explanation is its own operation.

use std::{cmp::Reverse, time::Duration};

use async_trait::async_trait;
use domain::{Error, ResourceName, Result, Violations};
use proto::{
    fields::under,
    raw::google::longrunning::{self as raw, operations_server::Operations as OperationsService},
};
use runtime::{
    call::Context,
    page::{self, Page},
    status::from_error,
};
use tonic::{Request, Response, Status};

use super::{catalog::present, explanations};
use crate::{
    caller::Caller,
    catalog::Catalog,
    explanations::{Explanations, OPERATION_PREFIX},
    operations::MAX_WAIT,
};

/// The public face of operations.
pub struct OperationsFace {
    catalog: Catalog,
    explanations: Explanations,
}

/// Which kind of work a name stands for.
enum Work {
    Training(ResourceName),
    Explanation(ResourceName),
}

impl OperationsFace {
    /// Serves the operations of these two.
    pub fn new(catalog: Catalog, explanations: Explanations) -> Self {
        Self { catalog, explanations }
    }

    async fn get(&self, work: &Work) -> Result<raw::Operation> {
        match work {
            Work::Training(name) => {
                self.catalog.find_operation(name).await?;
                let operation = self.catalog.operations().get(name)?;
                Ok(present::operation(&self.catalog, &operation))
            }
            Work::Explanation(name) => {
                let explanation = self.explanations.outcome(name).await.map_err(as_operation)?;
                Ok(explanations::operation(&explanation))
            }
        }
    }

    async fn wait(&self, work: &Work, timeout: Duration) -> Result<raw::Operation> {
        match work {
            Work::Training(name) => {
                self.catalog.find_operation(name).await?;
                let operation = self.catalog.operations().wait(name, timeout).await?;
                Ok(present::operation(&self.catalog, &operation))
            }
            Work::Explanation(name) => {
                let explanation = self.explanations.outcome(name).await.map_err(as_operation)?;
                if explanation.is_done() {
                    return Ok(explanations::operation(&explanation));
                }
                let live = self.explanations.get(name).await.map_err(as_operation)?;
                let mut states = live.watch();
                // Whether it ended or the time did, the latest state is the answer.
                tokio::time::timeout(timeout.min(MAX_WAIT), states.wait_for(|state| state.is_done())).await.ok();
                Ok(explanations::operation(&live.current()))
            }
        }
    }

    /// All operations, the caller's own first, then newest first, without loss curves: `GetOperation` brings
    /// them.
    async fn list(&self, caller: &Caller) -> Result<Vec<raw::Operation>> {
        self.catalog.refreshed().await;
        let mut all: Vec<(i64, String, raw::Operation)> = Vec::new();
        for mut operation in self.catalog.operations().list() {
            operation.progress.loss_curve.clear();
            let raw = present::operation(&self.catalog, &operation);
            all.push((operation.create_time, operation.creator, raw));
        }
        for explanation in self.explanations.outcomes().await? {
            let raw = explanations::operation(&explanation);
            all.push((explanation.create_time, explanation.creator, raw));
        }
        // Stable: within a second each kind keeps its order.
        all.sort_by_key(|(create_time, ..)| Reverse(*create_time));
        caller.own_first(&mut all, |(_, creator, _)| creator);
        Ok(all.into_iter().map(|(_, _, operation)| operation).collect())
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl OperationsService for OperationsFace {
    async fn list_operations(
        &self,
        request: Request<raw::ListOperationsRequest>,
    ) -> Answer<raw::ListOperationsResponse> {
        let context = Context::of(&request);
        let caller = Caller::of(&request);
        let arguments = ["operations", &caller.name];
        let page = parse_list(request.get_ref(), &arguments).map_err(from_error)?;
        let all = context.run(self.list(&caller)).await.map_err(from_error)?;
        let start = page.offset().map_err(from_error)?.min(all.len());
        let end = start.saturating_add(page.size).min(all.len());
        let next_page_token = if end < all.len() { page::token(&end.to_string(), &arguments) } else { String::new() };
        let operations = all.into_iter().skip(start).take(end - start).map(without_response).collect();
        Ok(Response::new(raw::ListOperationsResponse { operations, next_page_token }))
    }

    async fn get_operation(&self, request: Request<raw::GetOperationRequest>) -> Answer<raw::Operation> {
        let context = Context::of(&request);
        let work = parse(&request.get_ref().name).map_err(from_error)?;
        let operation = context.run(self.get(&work)).await.map_err(from_error)?;
        Ok(Response::new(operation))
    }

    async fn delete_operation(&self, request: Request<raw::DeleteOperationRequest>) -> Answer<()> {
        let caller = Caller::of(&request);
        let work = parse(&request.get_ref().name).map_err(from_error)?;
        let deleted = match &work {
            Work::Training(name) => self.catalog.delete_operation(&caller, name).await,
            Work::Explanation(name) => self.get(&work).await.and(Err(Error::FailedPrecondition {
                reason: "OPERATION_KEPT",
                subject: request.get_ref().name.clone(),
                description: format!("it goes with its explanation: delete {name}"),
            })),
        };
        deleted.map(Response::new).map_err(from_error)
    }

    async fn cancel_operation(&self, request: Request<raw::CancelOperationRequest>) -> Answer<()> {
        let caller = Caller::of(&request);
        let cancelled = match parse(&request.get_ref().name).map_err(from_error)? {
            Work::Training(name) => self.catalog.cancel_operation(&caller, &name).await,
            Work::Explanation(name) => self.explanations.cancel(&caller, &name).await.map_err(as_operation),
        };
        cancelled.map(Response::new).map_err(from_error)
    }

    async fn wait_operation(&self, request: Request<raw::WaitOperationRequest>) -> Answer<raw::Operation> {
        let context = Context::of(&request);
        let (work, timeout) = parse_wait(request.get_ref()).map_err(from_error)?;
        let operation = context.run(self.wait(&work, timeout)).await.map_err(from_error)?;
        Ok(Response::new(operation))
    }
}

fn parse(name: &str) -> Result<Work> {
    let name = under("name", parse_name(name))?;
    let Some(id) = name.id().strip_prefix(OPERATION_PREFIX) else { return Ok(Work::Training(name)) };
    let explanation = ResourceName::new(ResourceName::EXPLANATION, &[id]);
    explanation.map(Work::Explanation).map_err(|_| not_found(name.as_str()))
}

fn parse_name(name: &str) -> Result<ResourceName> {
    ResourceName::parse(name, ResourceName::OPERATION)
}

fn parse_wait(request: &raw::WaitOperationRequest) -> Result<(Work, Duration)> {
    let mut violations = Violations::default();
    let work = violations.take("", parse(&request.name));
    let timeout = match request.timeout {
        None => MAX_WAIT,
        Some(timeout) => Duration::try_from(timeout).unwrap_or_else(|_| {
            violations.add("timeout", "is negative");
            MAX_WAIT
        }),
    };
    violations.finish()?;
    work.map(|work| (work, timeout)).ok_or_else(|| Error::unexpected("a missing value was not noted"))
}

fn parse_list(request: &raw::ListOperationsRequest, arguments: &[&str]) -> Result<Page> {
    let mut violations = Violations::default();
    violations.check(matches!(request.name.as_str(), "" | "operations"), "name", || {
        "is neither empty nor \"operations\"".to_owned()
    });
    violations.check(request.filter.is_empty(), "filter", || "is not supported: leave it empty".to_owned());
    let page = violations.take("", Page::parse(request.page_size, &request.page_token, arguments));
    violations.finish()?;
    page.ok_or_else(|| Error::unexpected("a missing value was not noted"))
}

/// Explanations weigh 150 KB each: a list tells of them, `GetOperation` brings them.
fn without_response(mut operation: raw::Operation) -> raw::Operation {
    if let Some(raw::operation::Result::Response(response)) = &mut operation.result {
        response.value.clear();
    }
    operation
}

/// Who asks for an operation is told of an operation.
fn as_operation(error: Error) -> Error {
    match error {
        Error::NotFound { resource, .. } => {
            let id = resource.rsplit('/').next().unwrap_or_default();
            not_found(&format!("operations/{OPERATION_PREFIX}{id}"))
        }
        other => other,
    }
}

fn not_found(name: &str) -> Error {
    Error::NotFound { kind: "OPERATION", resource: name.to_owned() }
}
