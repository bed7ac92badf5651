//! Looks at an instance that take one round trip and leave no resource behind: for sliders and first
//! glances.

use std::sync::Arc;

use domain::{
    Anchoring, Attribution, Error, Image, ImageBatch, ResourceName, Result, SoftLabels, Temperature, Violations,
    explanation::contrast_label,
};
use proto::{explanation::InstanceRequest, specs::AttributionRequest};

use super::{
    Explanations, Resolved,
    instance::{EncodedInstance, encode_instance},
    memory::InstanceKey,
};

/// An image made from a latent point.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedImage {
    /// Its pixels.
    pub image: Image,
    /// The teacher's answer at temperature 1.
    pub soft_labels: SoftLabels,
    /// Where it comes from.
    pub point: Vec<f32>,
}

/// A walk from one instance to another.
#[derive(Debug, Clone)]
pub struct Interpolation {
    /// Labels the images.
    pub teacher: ResourceName,
    /// Makes the images.
    pub autoencoder: ResourceName,
    /// Its first image.
    pub from: InstanceRequest,
    /// Its last image.
    pub to: InstanceRequest,
    /// Images, both ends included.
    pub step_count: u32,
    /// Whether both ends are the instances themselves.
    pub anchoring: Anchoring,
}

impl Explanations {
    /// Where an instance lies, what comes back, and what the teacher says to both.
    pub async fn encode(
        &self,
        teacher: &ResourceName,
        autoencoder: &ResourceName,
        request: InstanceRequest,
    ) -> Result<(Resolved, Arc<EncodedInstance>)> {
        let teacher = self.catalog.ready_teacher(teacher).await?;
        let autoencoder = self.catalog.ready_autoencoder(autoencoder).await?;
        let resolved = self.resolve(&teacher, request, "instance").await?;
        let key = InstanceKey::of(&teacher, &autoencoder, &resolved.image);
        let compute = encode_instance(&self.models, &teacher.name, &autoencoder.name, &resolved.image);
        let encoded = self.memory.instance(key, compute).await?;
        Ok((resolved, encoded))
    }

    /// Images of latent points, with the teacher's answers.
    pub async fn decode(
        &self,
        teacher: &ResourceName,
        autoencoder: &ResourceName,
        points: &[Vec<f32>],
        anchor: Option<InstanceRequest>,
    ) -> Result<Vec<DecodedImage>> {
        let teacher = self.catalog.ready_teacher(teacher).await?;
        let autoencoder = self.catalog.ready_autoencoder(autoencoder).await?;
        let dimension_count = autoencoder.recipe.latent_dimension_count as usize;
        let mut violations = Violations::default();
        for (i, point) in points.iter().enumerate() {
            violations.check(point.len() == dimension_count, &format!("latents[{i}]"), || {
                format!("{} coordinates, the autoencoder has {dimension_count}", point.len())
            });
        }
        violations.finish()?;
        let anchor = match anchor {
            Some(request) => Some(self.resolve(&teacher, request, "anchor").await?.image),
            None => None,
        };
        let images = self.models.autoencoders.decode(&autoencoder.name, points, anchor.as_ref()).await?;
        self.label(&teacher.name, images, points.to_vec()).await
    }

    /// Images between two instances, with the teacher's answers.
    pub async fn interpolate(&self, walk: Interpolation) -> Result<Vec<DecodedImage>> {
        let teacher = self.catalog.ready_teacher(&walk.teacher).await?;
        let autoencoder = self.catalog.ready_autoencoder(&walk.autoencoder).await?;
        let from = self.resolve(&teacher, walk.from, "from").await?.image;
        let to = self.resolve(&teacher, walk.to, "to").await?.image;
        let steps = (walk.step_count, walk.anchoring);
        let (images, points) =
            self.models.autoencoders.interpolate(&autoencoder.name, &from, &to, steps.0, steps.1).await?;
        self.label(&teacher.name, images, points).await
    }

    /// The teacher's own account. Labels that are not given: predicted against gold where it was missed.
    pub async fn attribute(
        &self,
        teacher: &ResourceName,
        request: InstanceRequest,
        spec: AttributionRequest,
    ) -> Result<Attribution> {
        let teacher = self.catalog.ready_teacher(teacher).await?;
        let resolved = self.resolve(&teacher, request, "instance").await?;
        let spec = self.choose_labels(&teacher.name, &resolved, spec).await?;
        self.models.teachers.attribute(&teacher.name, &resolved.image, spec).await
    }

    async fn choose_labels(
        &self,
        teacher: &ResourceName,
        resolved: &Resolved,
        spec: AttributionRequest,
    ) -> Result<AttributionRequest> {
        if spec.target.is_some() {
            return Ok(spec);
        }
        let alone = ImageBatch::from_images(resolved.image.shape(), [&resolved.image])?;
        let answers = self.models.teachers.classify(teacher, &alone).await?;
        let logits = answers.first().ok_or_else(|| Error::unexpected("the teacher did not answer"))?;
        let predicted = logits.predicted_label();
        if spec.baseline == Some(predicted) {
            let message = format!("{predicted} is the predicted label, which is the target where none is given");
            return Err(Error::invalid("spec.baseline_label", message));
        }
        let baseline = spec.baseline.or_else(|| Some(contrast_label(logits, resolved.gold_label)));
        Ok(AttributionRequest { target: Some(predicted), baseline, ..spec })
    }

    async fn label(
        &self,
        teacher: &ResourceName,
        images: ImageBatch,
        points: Vec<Vec<f32>>,
    ) -> Result<Vec<DecodedImage>> {
        let answers = self.models.teachers.classify(teacher, &images).await?;
        let decoded = points.into_iter().zip(answers).enumerate().map(|(i, (point, logits))| {
            let image = images.image(i)?;
            Some(DecodedImage { image, soft_labels: logits.soft_labels(Temperature::ONE), point })
        });
        decoded.collect::<Option<Vec<_>>>().ok_or_else(|| Error::unexpected("fewer images than points"))
    }
}
