//! The images that a teacher got wrong, a choice of them, and an explanation of each that leaves nothing behind.

use std::time::{SystemTime, UNIX_EPOCH};

use proto::raw::deeper::{
    catalog::v1 as catalog,
    explanation::v1::{self as raw, instance::Source},
    types::v1 as types,
};
use tonic::Status;

use super::Models;
use crate::{api::Api, known::Numbers};

/// The names of all images that a teacher got wrong on the split it was judged on, by index.
pub async fn misclassified(api: &Api, teacher: &catalog::Teacher) -> Result<Vec<String>, Status> {
    let recipe = teacher.recipe.clone().unwrap_or_default();
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = catalog::ListExamplesRequest {
            parent: recipe.dataset.clone(),
            split: recipe.evaluation_split.clone(),
            teacher: teacher.name.clone(),
            errors_only: true,
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let page = api.catalog.clone().list_examples(request).await?.into_inner();
        names.extend(page.examples.into_iter().map(|example| example.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(names);
        }
    }
}

/// `count` of these names in an order that a seed fixes (Fisher and Yates).
pub fn drawn(mut names: Vec<String>, seed: u64, count: usize) -> Vec<String> {
    let mut numbers = Numbers::new(seed);
    for last in (1..names.len()).rev() {
        names.swap(last, (numbers.unit() * (last + 1) as f64) as usize);
    }
    names.truncate(count);
    names
}

/// An explanation of an example, complete. Its name is one that nobody had before.
pub async fn explain(
    api: &Api,
    models: &Models,
    example: &str,
    neighborhood: types::NeighborhoodSpec,
    student: types::StudentSpec,
) -> Result<raw::Explanation, Status> {
    let request = raw::CreateExplanationRequest {
        explanation_id: fresh_id(),
        teacher: models.teacher.name.clone(),
        autoencoder: models.autoencoder.clone(),
        instance: Some(raw::Instance { source: Some(Source::Example(example.to_owned())) }),
        neighborhood: Some(neighborhood),
        student: Some(student),
        ..Default::default()
    };
    api.explain(request).await
}

/// An id that no earlier run has used.
pub fn fresh_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("measure-{}", now.as_nanos())
}

/// Deletes an explanation, so that a long measurement leaves nothing behind.
pub async fn forget(api: &Api, explanation: &raw::Explanation) -> Result<(), Status> {
    let request = raw::DeleteExplanationRequest { name: explanation.name.clone() };
    api.explanations.clone().delete_explanation(request).await.map(drop)
}
