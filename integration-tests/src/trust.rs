//! How far explanations can be trusted, measured over misclassified images through the public API, beside
//! controls that must do worse. `bars` says what has to be reached.

mod bars;
mod examples;

use domain::{Heatmap, Image, ImageBatch, Logits, NeighborhoodSpec, StudentSpec};
use proto::raw::deeper::{catalog::v1 as catalog, explanation::v1 as raw, types::v1 as types};
use student::{
    Distiller,
    control::{HardLabelSgd, distill_hard_labels},
};
use tonic::Status;

pub use self::{
    bars::{Bar, Limits},
    examples::{drawn, explain, forget, fresh_id, misclassified},
};
use crate::api::{Api, fitted};

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
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// The images of students that do not agree there even so, once for each of them.
    pub unmatched: Vec<String>,
    /// Cosine of the contrast maps from two seeds.
    pub cosine: f64,
    /// Control: at the image, from plain neighbors and without its weight.
    pub plain_at_image: f64,
    /// Control: agreement of a student trained on hard labels with plain SGD.
    pub hard_label_agreement: f64,
}

impl Trust {
    /// Adds what one student of an image says of itself.
    fn count(&mut self, example: &str, fidelity: &types::Fidelity) {
        self.agreement += fidelity.top1_agreement;
        self.majority += fidelity.majority_baseline;
        self.kl += fidelity.mean_kl;
        self.at_image_held_out += agrees(fidelity.instance_held_out.as_ref());
        let fitted = agrees(fidelity.instance_fitted.as_ref());
        self.at_image_fitted += fitted;
        if fitted < 1.0 {
            self.unmatched.push(example.to_owned());
        }
    }

    /// Sums over `image_count` images, the first `control_count` of them with controls, as means.
    fn averaged(self, image_count: usize, control_count: usize) -> Self {
        let (images, controls) = (image_count as f64, control_count.min(image_count) as f64);
        let students = images * NEIGHBORHOOD_SEEDS.len() as f64;
        Self {
            image_count,
            agreement: self.agreement / students,
            majority: self.majority / students,
            kl: self.kl / students,
            at_image_held_out: self.at_image_held_out / students,
            at_image_fitted: self.at_image_fitted / students,
            unmatched: self.unmatched,
            cosine: self.cosine / images,
            plain_at_image: self.plain_at_image / images,
            hard_label_agreement: self.hard_label_agreement / controls,
        }
    }
}

/// Measures the defaults on every example; the hard-label control on the first `control_count` of them. `told` hears of
/// each image that is done.
pub async fn measure(
    api: &Api,
    models: &Models,
    examples: &[String],
    control_count: usize,
    mut told: impl FnMut(usize),
) -> Result<Trust, Status> {
    let mut sums = Trust::default();
    for (index, example) in examples.iter().enumerate() {
        let mut maps = Vec::new();
        for seed in NEIGHBORHOOD_SEEDS {
            let spec = types::NeighborhoodSpec { seed: Some(seed), ..Default::default() };
            let explanation = explain(api, models, example, spec, types::StudentSpec::default()).await?;
            let (student, fidelity) = measured(&explanation)?;
            sums.count(example, fidelity);
            maps.push(contrast_map(student)?);
            if index < control_count && seed == NEIGHBORHOOD_SEEDS[0] {
                sums.hard_label_agreement += hard_labels(api, &explanation).await?;
            }
            forget(api, &explanation).await?;
        }
        sums.cosine += maps[0].cosine(&maps[1]);
        sums.plain_at_image += plain_control(api, models, example).await?;
        told(index + 1);
    }
    Ok(sums.averaged(examples.len(), control_count))
}

/// Measures other students on the neighborhoods of every example, one result a spec, without controls: those two
/// are not numbers. At most 100 specs, as many students as an explanation may have.
pub async fn compare(
    api: &Api,
    models: &Models,
    examples: &[String],
    specs: &[types::StudentSpec],
    mut told: impl FnMut(usize),
) -> Result<Vec<Trust>, Status> {
    let mut sums = vec![Trust { plain_at_image: f64::NAN, ..Trust::default() }; specs.len()];
    for (index, example) in examples.iter().enumerate() {
        let mut maps = vec![Vec::new(); specs.len()];
        for seed in NEIGHBORHOOD_SEEDS {
            let neighborhood = types::NeighborhoodSpec { seed: Some(seed), ..Default::default() };
            let explanation = explain(api, models, example, neighborhood, types::StudentSpec::default()).await?;
            measured(&explanation)?;
            for ((spec, sums), maps) in specs.iter().zip(&mut sums).zip(&mut maps) {
                let parent = explanation.name.clone();
                let request = raw::CreateStudentRequest { parent, spec: Some(spec.clone()), ..Default::default() };
                let student = api.distill(request).await?.fitted.unwrap_or_default();
                sums.count(example, &student.fidelity.clone().unwrap_or_default());
                maps.push(contrast_map(&student)?);
            }
            forget(api, &explanation).await?;
        }
        for (sums, maps) in sums.iter_mut().zip(&maps) {
            sums.cosine += maps[0].cosine(&maps[1]);
        }
        told(index + 1);
    }
    Ok(sums.into_iter().map(|sums| sums.averaged(examples.len(), 0)).collect())
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

fn contrast_map(student: &types::FittedStudent) -> Result<Heatmap, Status> {
    read(Heatmap::try_from(student.contrast_map.clone().unwrap_or_default()))
}

fn agrees(fit: Option<&types::InstanceFit>) -> f64 {
    f64::from(u8::from(fit.is_some_and(|fit| fit.agrees)))
}

fn read<T>(value: domain::Result<T>) -> Result<T, Status> {
    value.map_err(|error| Status::aborted(error.to_string()))
}
