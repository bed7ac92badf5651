//! Requests of `CatalogService`. Every wrong field is noted before anything is answered.

use domain::{AutoencoderRecipe, Error, Label, ResourceName, Result, TeacherRecipe, Violations};
use proto::{
    fields::{required_from, under},
    raw::deeper::catalog::v1 as raw,
};
use runtime::page::Page;

use crate::{
    caller::Caller,
    catalog::{Catalog, ExampleFilter, ExampleOrder, ExampleQuery, NewAutoencoder, NewTeacher, check_identity},
    grpc::fingerprint::fingerprint,
};

/// The request's own name.
pub(super) fn name(text: &str, collections: &[&str]) -> Result<ResourceName> {
    under("name", ResourceName::parse(text, collections))
}

pub(super) fn new_teacher(mut request: raw::CreateTeacherRequest, caller: Caller) -> Result<NewTeacher> {
    let request_id = std::mem::take(&mut request.request_id);
    let fingerprint = fingerprint("CreateTeacher", &request);
    match required_from::<_, TeacherRecipe>("recipe", request.recipe) {
        Ok(recipe) => Ok(NewTeacher {
            id: request.teacher_id,
            display_name: request.display_name,
            recipe,
            request_id,
            fingerprint,
            caller,
        }),
        Err(error) => {
            let id = ("teacher_id", request.teacher_id.as_str());
            Err(with_identity(ResourceName::TEACHER, id, &request.display_name, &request_id, error))
        }
    }
}

pub(super) fn new_autoencoder(mut request: raw::CreateAutoencoderRequest, caller: Caller) -> Result<NewAutoencoder> {
    let request_id = std::mem::take(&mut request.request_id);
    let fingerprint = fingerprint("CreateAutoencoder", &request);
    match required_from::<_, AutoencoderRecipe>("recipe", request.recipe) {
        Ok(recipe) => Ok(NewAutoencoder {
            id: request.autoencoder_id,
            display_name: request.display_name,
            recipe,
            request_id,
            fingerprint,
            caller,
        }),
        Err(error) => {
            let id = ("autoencoder_id", request.autoencoder_id.as_str());
            Err(with_identity(ResourceName::AUTOENCODER, id, &request.display_name, &request_id, error))
        }
    }
}

/// The catalog, which checks these fields otherwise, is not asked about a recipe that cannot be read.
fn with_identity(collections: &[&str], id: (&str, &str), display_name: &str, request_id: &str, error: Error) -> Error {
    let mut violations = Violations::default();
    check_identity(&mut violations, collections, id, display_name, request_id);
    violations.take::<()>("", Err(error));
    violations.finish().expect_err("one violation was noted")
}

pub(super) fn matrix(request: raw::GetConfusionMatrixRequest) -> Result<(ResourceName, ResourceName, Option<String>)> {
    let mut violations = Violations::default();
    let teacher = violations.take("teacher", ResourceName::parse(&request.teacher, ResourceName::TEACHER));
    let dataset = violations.take("dataset", ResourceName::parse(&request.dataset, ResourceName::DATASET));
    violations.finish()?;
    let split = Some(request.split).filter(|split| !split.is_empty());
    Ok((read(teacher)?, read(dataset)?, split))
}

pub(super) fn example(request: raw::GetExampleRequest) -> Result<(ResourceName, Option<ResourceName>)> {
    let mut violations = Violations::default();
    let name = violations.take("name", ResourceName::parse(&request.name, ResourceName::EXAMPLE));
    if let Some(name) = &name {
        violations.take("name", proto::catalog::example_position(name));
    }
    let teacher = optional_teacher(&mut violations, &request.teacher);
    violations.finish()?;
    Ok((read(name)?, teacher))
}

/// A list of examples, parsed.
pub(super) struct Examples {
    pub(super) query: ExampleQuery,
    pub(super) page: Page,
    /// What binds the page token to this request.
    pub(super) arguments: Vec<String>,
}

/// Labels are checked against the data set, so that its mistakes are answered with all others.
pub(super) async fn examples(catalog: &Catalog, request: &raw::ListExamplesRequest) -> Result<Examples> {
    let mut violations = Violations::default();
    let dataset = violations.take("parent", ResourceName::parse(&request.parent, ResourceName::DATASET));
    let teacher = optional_teacher(&mut violations, &request.teacher);
    let order = match raw::ExampleOrder::try_from(request.order) {
        Ok(raw::ExampleOrder::Unspecified | raw::ExampleOrder::Index) => ExampleOrder::Index,
        Ok(raw::ExampleOrder::Confidence) => ExampleOrder::Confidence,
        Ok(raw::ExampleOrder::Margin) => ExampleOrder::Margin,
        Err(_) => {
            violations.add("order", format!("{} is not an order", request.order));
            ExampleOrder::Index
        }
    };
    let filter = ExampleFilter {
        gold_label: request.gold_label.map(Label),
        predicted_label: request.predicted_label.map(Label),
        errors_only: request.errors_only,
    };
    let arguments: Vec<String> = vec![
        "examples".to_owned(),
        request.parent.clone(),
        request.split.clone(),
        request.teacher.clone(),
        format!("{filter:?} {order:?}"),
    ];
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let page = violations.take("", Page::parse(request.page_size, &request.page_token, &words));
    let Some(dataset) = dataset else {
        return Err(violations.finish().expect_err("a missing value was noted"));
    };
    let names_teacher = !request.teacher.is_empty();
    let query = ExampleQuery { dataset, split: request.split.clone(), teacher, filter, order };
    match catalog.dataset(&query.dataset).await {
        Ok(dataset) => {
            violations.take("", query.validate(&dataset, names_teacher));
        }
        Err(error) => {
            violations.finish()?;
            return Err(error);
        }
    }
    violations.finish()?;
    Ok(Examples { query, page: read(page)?, arguments })
}

fn optional_teacher(violations: &mut Violations, text: &str) -> Option<ResourceName> {
    if text.is_empty() {
        return None;
    }
    violations.take("teacher", ResourceName::parse(text, ResourceName::TEACHER))
}

/// A value whose absence was noted before.
fn read<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::unexpected("a missing value was not noted"))
}
