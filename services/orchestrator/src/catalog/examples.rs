//! Labelled images as the catalog lists them.

use std::sync::Arc;

use domain::{Dataset, Error, Example, ResourceName, Result, Violations};
use proto::catalog::example_position;

use super::{
    Catalog,
    evaluation::{Evaluation, ExampleFilter, ExampleOrder},
};

/// Bytes of the examples of one page: a message stays under 4 MiB with room for names and labels.
const MAX_PAGE_BYTES: usize = 2 << 20;

/// Which examples, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleQuery {
    /// `datasets/{d}`.
    pub dataset: ResourceName,
    /// One of its splits.
    pub split: String,
    /// Whose answers filter and order, and come along.
    pub teacher: Option<ResourceName>,
    /// What is kept.
    pub filter: ExampleFilter,
    /// In which order.
    pub order: ExampleOrder,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ExamplePage {
    /// In order.
    pub examples: Vec<Example>,
    /// Position after the last one.
    pub end: usize,
    /// Examples in the whole list.
    pub total: usize,
}

/// What of a query can be judged although its data set or teacher cannot be found.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// As the request names it.
    pub split: &'a str,
    /// What is kept.
    pub filter: ExampleFilter,
    /// In which order.
    pub order: ExampleOrder,
    /// Whether a teacher is named, even if its name cannot be read.
    pub names_teacher: bool,
}

impl Selection<'_> {
    /// Every wrong field at once; those that only the data set can judge, where it is known.
    pub fn validate(&self, dataset: Option<&Dataset>) -> Result<()> {
        let mut violations = Violations::default();
        violations.take("", check_split(self.split, dataset));
        for (field, label) in [("gold_label", self.filter.gold_label), ("predicted_label", self.filter.predicted_label)]
        {
            let limit = dataset.map_or(usize::MAX, |dataset| dataset.label_names.len());
            violations
                .check(label.is_none_or(|label| label.index() < limit), field, || format!("is not below {limit}"));
        }
        let needs_teacher = self.filter.needs_teacher() || self.order != ExampleOrder::Index;
        violations.check(!needs_teacher || self.names_teacher, "teacher", || {
            "is required for predicted_label, errors_only and orders other than by index".to_owned()
        });
        violations.finish()
    }
}

/// A split that is named and, where the data set is known, one of its own.
pub fn check_split(split: &str, dataset: Option<&Dataset>) -> Result<()> {
    let mut violations = Violations::default();
    match dataset {
        None => violations.check(!split.is_empty(), "split", || "is required".to_owned()),
        Some(dataset) => {
            let splits: Vec<&str> = dataset.splits.iter().map(|split| split.id.as_str()).collect();
            violations.check(splits.contains(&split), "split", || {
                format!("{:?} is not one of {}", shortened(split), splits.join(", "))
            });
        }
    }
    violations.finish()
}

impl ExampleQuery {
    /// Every wrong field at once.
    pub fn validate(&self, dataset: &Dataset) -> Result<()> {
        let Self { split, teacher, filter, order, .. } = self;
        let names_teacher = teacher.is_some();
        Selection { split, filter: *filter, order: *order, names_teacher }.validate(Some(dataset))
    }
}

impl Catalog {
    /// At most `count` examples of a list, from position `start`; fewer where images are large.
    pub async fn list_examples(&self, query: &ExampleQuery, start: usize, count: usize) -> Result<ExamplePage> {
        let dataset = self.dataset(&query.dataset).await?;
        query.validate(&dataset)?;
        let evaluation = match &query.teacher {
            Some(teacher) if query.filter.needs_teacher() || query.order != ExampleOrder::Index => {
                Some(self.evaluation(teacher, &query.dataset, &query.split).await?)
            }
            Some(teacher) => self.evaluation_if_stored(teacher, &query.dataset, &query.split).await?,
            None => None,
        };
        let gold = self.library().gold_labels(&query.dataset, &query.split).await?;
        let selected: Vec<u64> = match &evaluation {
            Some(evaluation) => evaluation.select(query.filter, query.order),
            None => {
                let wanted = query.filter.gold_label;
                let passes = |index: &u64| wanted.is_none_or(|label| gold[*index as usize] == label);
                (0..gold.len() as u64).filter(passes).collect()
            }
        };
        let per_example = dataset.shape.pixel_count() + 16 * dataset.label_names.len();
        let count = count.min((MAX_PAGE_BYTES / per_example).max(1));
        let start = start.min(selected.len());
        let end = start.saturating_add(count).min(selected.len());
        let page = &selected[start..end];
        let images = self.library().images(&query.dataset, &query.split, page).await?;
        let example = |(index, image)| {
            Ok(Example {
                name: query.dataset.child("examples", &format!("{}-{index}", query.split))?,
                index,
                image,
                gold_label: gold[index as usize],
                soft_labels: evaluation.as_ref().and_then(|evaluation| evaluation.soft_labels(index)),
            })
        };
        let examples = page.iter().copied().zip(images).map(example).collect::<Result<_>>()?;
        Ok(ExamplePage { examples, end, total: selected.len() })
    }

    /// One example, with a teacher's stored answer where one is named and has evaluated its split.
    pub async fn get_example(&self, name: &ResourceName, teacher: Option<&ResourceName>) -> Result<Example> {
        let (dataset, split, index) = example_position(name)?;
        let not_found = || Error::NotFound { kind: "EXAMPLE", resource: name.to_string() };
        let known = self.dataset(&dataset).await?;
        let found = known.splits.iter().find(|candidate| candidate.id == split);
        if found.is_none_or(|split| index >= split.example_count) || name.id() != format!("{split}-{index}") {
            return Err(not_found());
        }
        let image = self.library().images(&dataset, &split, &[index]).await?.into_iter().next();
        let gold = self.library().gold_labels(&dataset, &split).await?.get(index as usize).copied();
        let evaluation: Option<Arc<Evaluation>> = match teacher {
            Some(teacher) => self.evaluation_if_stored(teacher, &dataset, &split).await?,
            None => None,
        };
        Ok(Example {
            name: name.clone(),
            index,
            image: image.ok_or_else(not_found)?,
            gold_label: gold.ok_or_else(not_found)?,
            soft_labels: evaluation.and_then(|evaluation| evaluation.soft_labels(index)),
        })
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
