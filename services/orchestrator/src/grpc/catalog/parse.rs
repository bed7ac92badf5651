//! Requests of `CatalogService`. Every wrong field is noted before anything is answered.

use domain::{AutoencoderRecipe, Error, Label, ResourceName, Result, TeacherRecipe, Violations};
use proto::{
    fields::{enumerated, required_from, under},
    raw::deeper::catalog::v1 as raw,
};
use runtime::page::Page;

use crate::{
    caller::Caller,
    catalog::{
        Catalog, ExampleFilter, ExampleOrder, ExampleQuery, NewAutoencoder, NewTeacher, Selection, check_identity,
        check_split,
    },
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

/// A split that is named is checked against the data set, so that its mistake is answered with all others.
pub(super) async fn matrix(
    catalog: &Catalog,
    request: raw::GetConfusionMatrixRequest,
) -> Result<(ResourceName, ResourceName, Option<String>)> {
    let mut violations = Violations::default();
    let teacher = violations.take("teacher", ResourceName::parse(&request.teacher, ResourceName::TEACHER));
    let dataset = violations.take("dataset", ResourceName::parse(&request.dataset, ResourceName::DATASET));
    let split = Some(request.split).filter(|split| !split.is_empty());
    if let Some(split) = &split {
        // A data set that is not there gets its own answer, unless something else is wrong.
        let known = match &dataset {
            Some(dataset) => catalog.dataset(dataset).await.ok(),
            None => None,
        };
        violations.take("", check_split(split, known.as_ref()));
    }
    violations.finish()?;
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
    let order = enumerated("order", request.order, raw::ExampleOrder::as_str_name);
    let order = match violations.take("", order) {
        Some(raw::ExampleOrder::Unspecified | raw::ExampleOrder::Index) | None => ExampleOrder::Index,
        Some(raw::ExampleOrder::Confidence) => ExampleOrder::Confidence,
        Some(raw::ExampleOrder::Margin) => ExampleOrder::Margin,
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
    let known = match &dataset {
        Some(dataset) => Some(catalog.dataset(dataset).await),
        None => None,
    };
    let selection = Selection { split: &request.split, filter, order, names_teacher: !request.teacher.is_empty() };
    violations.take("", selection.validate(known.as_ref().and_then(|known| known.as_ref().ok())));
    violations.finish()?;
    // Every field could be read; whether the data set is there is another question.
    known.transpose()?;
    let query = ExampleQuery { dataset: read(dataset)?, split: request.split.clone(), teacher, filter, order };
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
