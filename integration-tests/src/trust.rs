//! How far explanations can be trusted, measured over misclassified images through the public API, beside
//! controls that must do worse. The bars are the caller's.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::{Heatmap, Image, ImageBatch, Logits, NeighborhoodSpec, StudentSpec};
use proto::raw::deeper::{
    catalog::v1 as catalog,
    explanation::v1::{self as raw, instance::Source},
    types::v1 as types,
};
use student::{
    Distiller,
    control::{HardLabelSgd, distill_hard_labels},
};
use tonic::Status;

use crate::{
    api::{Api, fitted},
    known::Numbers,
};

/// Noise of the two neighborhoods of an image whose maps are compared.
const NEIGHBORHOOD_SEEDS: [u64; 2] = [7, 8];

/// What is measured.
#[derive(Debug, Clone)]
pub struct Models {
    /// `teachers/{t}`, evaluated.
    pub teacher: catalog::Teacher,
    /// `autoencoders/{a}`.
    pub autoencoder: String,
}

/// Means over images; each image's measures are the means of two students from two seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Trust {
    /// Images.
    pub image_count: usize,
    /// Cross-fitted top-1 agreement.
    pub agreement: f64,
    /// Of always answering the most frequent class.
    pub majority: f64,
    /// Mean KL(teacher ‖ student) at the default temperature, in nats.
    pub kl: f64,
    /// Share of students that agree with the teacher at the image, without its own weight.
    pub at_image_held_out: f64,
    /// The same with its weight: a fit.
    pub at_image_fitted: f64,
    /// Cosine of the contrast maps from two seeds.
    pub cosine: f64,
    /// Control: at the image, from plain neighbors and without its weight.
    pub plain_at_image: f64,
    /// Control: agreement of a student trained on hard labels with plain SGD.
    pub hard_label_agreement: f64,
}

/// A measured value beside the value it has to reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What was measured.
    pub what: String,
    /// The value.
    pub measured: f64,
    /// Whether it must not be below the limit; else it must be at most or, for controls, below it.
    pub at_least: bool,
    /// The limit.
    pub limit: f64,
}

impl Bar {
    /// Must reach `limit`.
    pub fn at_least(what: impl Into<String>, measured: f64, limit: f64) -> Self {
        Self { what: what.into(), measured, at_least: true, limit }
    }

    /// Must stay at or under `limit`.
    pub fn at_most(what: impl Into<String>, measured: f64, limit: f64) -> Self {
        Self { what: what.into(), measured, at_least: false, limit }
    }

    /// Whether it holds. A measure that is not a number does not.
    pub fn holds(&self) -> bool {
        if self.at_least { self.measured >= self.limit } else { self.measured <= self.limit }
    }

    /// One line of a table.
    pub fn line(&self) -> String {
        let (mark, sign) = (if self.holds() { "ok  " } else { "FAIL" }, if self.at_least { ">=" } else { "<=" });
        format!("{mark}  {:<52} {:>8.4}  {sign} {}", self.what, self.measured, self.limit)
    }
}

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

/// Measures every example; the hard-label control on the first `control_count` of them. `told` hears of
/// each image that is done.
pub async fn measure(
    api: &Api,
    models: &Models,
    examples: &[String],
    control_count: usize,
    mut told: impl FnMut(usize),
) -> Result<Trust, Status> {
    let mut sums = Trust { image_count: examples.len(), ..Trust::default() };
    for (index, example) in examples.iter().enumerate() {
        let mut maps = Vec::new();
        for seed in NEIGHBORHOOD_SEEDS {
            let spec = types::NeighborhoodSpec { seed: Some(seed), ..Default::default() };
            let explanation = explain(api, models, example, spec, types::StudentSpec::default()).await?;
            let (student, fidelity) = measured(&explanation)?;
            sums.agreement += fidelity.top1_agreement;
            sums.majority += fidelity.majority_baseline;
            sums.kl += fidelity.mean_kl;
            sums.at_image_held_out += agrees(fidelity.instance_held_out.as_ref());
            sums.at_image_fitted += agrees(fidelity.instance_fitted.as_ref());
            maps.push(read(Heatmap::try_from(student.contrast_map.clone().unwrap_or_default()))?);
            if index < control_count && seed == NEIGHBORHOOD_SEEDS[0] {
                sums.hard_label_agreement += hard_labels(api, &explanation).await?;
            }
            forget(api, &explanation).await?;
        }
        sums.cosine += maps[0].cosine(&maps[1]);
        sums.plain_at_image += plain_control(api, models, example).await?;
        told(index + 1);
    }
    let images = examples.len() as f64;
    let students = images * NEIGHBORHOOD_SEEDS.len() as f64;
    Ok(Trust {
        image_count: sums.image_count,
        agreement: sums.agreement / students,
        majority: sums.majority / students,
        kl: sums.kl / students,
        at_image_held_out: sums.at_image_held_out / students,
        at_image_fitted: sums.at_image_fitted / students,
        cosine: sums.cosine / images,
        plain_at_image: sums.plain_at_image / images,
        hard_label_agreement: sums.hard_label_agreement / control_count.min(examples.len()) as f64,
    })
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

/// At the image, a student of plain neighbors that was not shown the image itself.
async fn plain_control(api: &Api, models: &Models, example: &str) -> Result<f64, Status> {
    let plain = types::NeighborhoodSpec { anchoring: types::Anchoring::None.into(), ..Default::default() };
    let weightless = types::StudentSpec { instance_weight: Some(0.0), ..Default::default() };
    let explanation = explain(api, models, example, plain, weightless).await?;
    let agreement = agrees(measured(&explanation)?.1.instance_held_out.as_ref());
    forget(api, &explanation).await?;
    Ok(agreement)
}

/// What a naive student makes of the very same neighbors.
async fn hard_labels(api: &Api, explanation: &raw::Explanation) -> Result<f64, Status> {
    let neighbors = api.neighbors(&explanation.name).await?;
    let image = read(Image::try_from(explanation.image.clone().unwrap_or_default()))?;
    let instance_logits = read(Logits::new(logits(explanation.soft_labels.as_ref())))?;
    let fit = move || -> domain::Result<f64> {
        let count = neighbors.len().max(NeighborhoodSpec::MIN_NEIGHBOR_COUNT);
        let mut distiller = Distiller::new(StudentSpec::default(), image.clone(), instance_logits, None, count)?;
        for neighbor in neighbors {
            let neighbor_image = Image::try_from(neighbor.image.unwrap_or_default())?;
            let batch = ImageBatch::from_images(image.shape(), [&neighbor_image])?;
            distiller.push(&batch, &logits(neighbor.soft_labels.as_ref()))?;
        }
        Ok(distill_hard_labels(&distiller, HardLabelSgd::default())?.fidelity.top1_agreement)
    };
    let fitted = tokio::task::spawn_blocking(fit).await;
    read(fitted.map_err(domain::Error::unexpected).and_then(|agreement| agreement))
}

/// Logits up to a constant, which no softmax sees.
fn logits(labels: Option<&types::SoftLabels>) -> Vec<f32> {
    let probabilities = labels.map(|labels| labels.probabilities.as_slice()).unwrap_or_default();
    probabilities.iter().map(|p| p.max(1e-30).ln() as f32).collect()
}

fn measured(explanation: &raw::Explanation) -> Result<(&types::FittedStudent, &types::Fidelity), Status> {
    if explanation.state() != raw::State::Succeeded {
        let why = explanation.error.as_ref().map(|error| error.message.as_str()).unwrap_or("without a reason");
        return Err(Status::aborted(format!("{} did not succeed: {why}", explanation.name)));
    }
    let student = fitted(explanation);
    let fidelity = student.fidelity.as_ref().ok_or_else(|| Status::aborted("a student without fidelity"))?;
    Ok((student, fidelity))
}

fn agrees(fit: Option<&types::InstanceFit>) -> f64 {
    f64::from(u8::from(fit.is_some_and(|fit| fit.agrees)))
}

fn read<T>(value: domain::Result<T>) -> Result<T, Status> {
    value.map_err(|error| Status::aborted(error.to_string()))
}
