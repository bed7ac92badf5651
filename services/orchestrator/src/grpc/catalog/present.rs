//! Answers of `CatalogService`, and trainings as operations.

use domain::{Error, ResourceName};
use prost::Message;
use prost_types::Any;
use proto::{
    catalog::timestamp,
    raw::{
        deeper::catalog::v1::{self as raw, watch_activity_response::Update},
        google::{
            longrunning::{self, operation::Result as Outcome},
            rpc::Status,
        },
    },
    rpc::rpc_from_error,
};
use runtime::page::{self, Page};

use crate::{
    activity::ActivityUpdate,
    caller::{Caller, Role},
    catalog::{Catalog, ExamplePage},
    operations::Operation,
};

/// Orders a list by whose and by name.
pub(super) fn key(is_own: bool, name: &ResourceName) -> String {
    format!("{} {name}", u8::from(!is_own))
}

/// The part of a list that a page shows, and the token of the next. Items are in the order of their keys, which
/// are the cursors, so that a resource that comes or goes meanwhile moves no other from page to page.
pub(super) fn page<'a, T>(
    all: &'a [T],
    key: impl Fn(&T) -> String,
    page: &Page,
    list: &[&str],
) -> (std::slice::Iter<'a, T>, String) {
    let start = page.after.as_ref().map_or(0, |after| all.partition_point(|item| key(item) <= *after));
    let end = start.saturating_add(page.size).min(all.len());
    let shown = &all[start..end];
    let token = match shown.last() {
        Some(last) if end < all.len() => page::token(&key(last), list),
        _ => String::new(),
    };
    (shown.iter(), token)
}

pub(super) fn examples(listed: &ExamplePage, arguments: &[String]) -> raw::ListExamplesResponse {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let has_more = listed.end < listed.total;
    raw::ListExamplesResponse {
        examples: listed.examples.iter().map(Into::into).collect(),
        next_page_token: if has_more { page::token(&listed.end.to_string(), &words) } else { String::new() },
        total_size: listed.total as u64,
    }
}

/// A training as the well-known interface shows it. The response is the model as it is now.
pub(crate) fn operation(catalog: &Catalog, operation: &Operation) -> longrunning::Operation {
    let metadata = raw::TrainingMetadata {
        target: operation.target.to_string(),
        progress: Some((&operation.progress).into()),
        create_time: timestamp(operation.create_time),
        creator: operation.creator.clone(),
    };
    let result = operation.outcome.clone().map(|outcome| match outcome.and_then(|()| model(catalog, operation)) {
        Ok(response) => Outcome::Response(response),
        Err(error) => Outcome::Error(rpc_from_error(error)),
    });
    longrunning::Operation {
        name: operation.name.to_string(),
        metadata: Some(any("deeper.catalog.v1.TrainingMetadata", &metadata)),
        done: operation.is_done(),
        result,
    }
}

/// What a training made; it may have been deleted since.
fn model(catalog: &Catalog, operation: &Operation) -> Result<Any, Error> {
    if operation.target.as_str().starts_with("teachers/") {
        let teacher = catalog.known_teacher(&operation.target)?;
        Ok(any("deeper.catalog.v1.Teacher", &raw::Teacher::from(&*teacher)))
    } else {
        let autoencoder = catalog.known_autoencoder(&operation.target)?;
        Ok(any("deeper.catalog.v1.Autoencoder", &raw::Autoencoder::from(&*autoencoder)))
    }
}

fn any(full_name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{full_name}"), value: message.encode_to_vec() }
}

pub(super) fn activity(update: ActivityUpdate, caller: &Caller) -> raw::WatchActivityResponse {
    let update = match update {
        ActivityUpdate::Snapshot { datasets, teachers, autoencoders, operations } => {
            Update::Snapshot(raw::ActivitySnapshot {
                datasets: datasets.iter().map(|dataset| (&**dataset).into()).collect(),
                teachers: teachers.iter().map(|teacher| (&**teacher).into()).collect(),
                autoencoders: autoencoders.iter().map(|autoencoder| (&**autoencoder).into()).collect(),
                operations: operations.iter().map(operation_activity).collect(),
                caller: Some(raw::Caller { name: caller.name.clone(), may_change_all: caller.role == Role::Admin }),
            })
        }
        ActivityUpdate::Dataset(dataset) => Update::Dataset((&*dataset).into()),
        ActivityUpdate::Teacher(teacher) => Update::Teacher((&*teacher).into()),
        ActivityUpdate::Autoencoder(autoencoder) => Update::Autoencoder((&*autoencoder).into()),
        ActivityUpdate::Operation(operation) => Update::Operation(operation_activity(&operation)),
        ActivityUpdate::Deleted(name) => Update::Deleted(name.to_string()),
    };
    raw::WatchActivityResponse { update: Some(update) }
}

fn operation_activity(operation: &Operation) -> raw::OperationActivity {
    let error: Option<Status> = operation.outcome.clone().and_then(Result::err).map(rpc_from_error);
    raw::OperationActivity {
        name: operation.name.to_string(),
        target: operation.target.to_string(),
        done: operation.is_done(),
        error,
        progress: Some((&operation.progress).into()),
        creator: operation.creator.clone(),
    }
}
