//! From what a caller asks to what the workflow needs: names are looked up, images decoded, defaults filled
//! in, and everything that is wrong is said at once.

use domain::{
    Dataset, Explanation, ExplanationState, Image, Instance, Label, NeighborhoodSpec, ResourceName, Result, Stage,
    StudentSpec, Teacher, Violations,
};
use proto::{explanation::InstanceRequest, fields::under};

use super::{Explanations, OPERATION_PREFIX, instance::check_gold_label, memory::teacher_digest};
use crate::{caller::Caller, explain::Question};

/// A request to explain.
#[derive(Debug, Clone)]
pub struct NewExplanation {
    /// `explanations/{x}`.
    pub name: ResourceName,
    /// For people.
    pub display_name: String,
    /// `teachers/{t}`.
    pub teacher: ResourceName,
    /// `autoencoders/{a}`.
    pub autoencoder: ResourceName,
    /// What is explained.
    pub instance: InstanceRequest,
    /// Where neighbors are drawn.
    pub neighborhood: NeighborhoodSpec,
    /// What the student is asked to be.
    pub student_spec: StudentSpec,
    /// A UUID, hyphenated. Repeating it finds the same explanation.
    pub request_id: Option<String>,
    /// Hash of the request: a repeated `request_id` must bring the same one.
    pub fingerprint: String,
}

/// An instance whose pixels and label are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// As it is stored.
    pub instance: Instance,
    /// Its pixels.
    pub image: Image,
    /// What it is, where that is known.
    pub gold_label: Option<Label>,
}

impl Explanations {
    /// Finds or decodes the instance's pixels, in the shape that a teacher was trained on.
    /// `field` is where the request has it.
    pub async fn resolve(&self, teacher: &Teacher, request: InstanceRequest, field: &str) -> Result<Resolved> {
        let dataset = self.catalog.dataset(&teacher.recipe.dataset).await?;
        let pixels = match &request {
            InstanceRequest::Example(_) => "example",
            InstanceRequest::Png { .. } => "image.png",
            InstanceRequest::Pixels { .. } => "image.pixels",
        };
        let resolved = under(field, self.resolve_in(&dataset, request).await)?;
        let shape = under(field, under(pixels, resolved.image.expect_shape(dataset.shape)));
        let gold_label = under(field, check_gold_label(resolved.gold_label, dataset.label_names.len()));
        match (shape, gold_label) {
            (Err(shape), Err(gold_label)) => {
                let mut violations = Violations::default();
                violations.take::<()>("", Err(shape));
                violations.take::<()>("", Err(gold_label));
                violations.finish().map(|()| resolved)
            }
            (shape, gold_label) => shape.and(gold_label).map(|()| resolved),
        }
    }

    async fn resolve_in(&self, dataset: &Dataset, request: InstanceRequest) -> Result<Resolved> {
        match request {
            InstanceRequest::Example(name) => {
                let example = self.catalog.example(&name).await?;
                let gold_label = Some(example.gold_label);
                Ok(Resolved { instance: Instance::Example(name), image: example.image, gold_label })
            }
            InstanceRequest::Pixels { image, gold_label } => {
                Ok(Resolved { instance: Instance::Image { image: image.clone(), gold_label }, image, gold_label })
            }
            InstanceRequest::Png { bytes, gold_label } => {
                let image = self.uploads.decode(bytes, dataset.shape).await?;
                Ok(Resolved { instance: Instance::Image { image: image.clone(), gold_label }, image, gold_label })
            }
        }
    }

    /// Reads a new explanation.
    pub(super) async fn question(
        &self,
        caller: &Caller,
        new: &NewExplanation,
        now: i64,
    ) -> Result<(Explanation, Question)> {
        let teacher = self.catalog.ready_teacher(&new.teacher).await?;
        let resolved = self.resolve(&teacher, new.instance.clone(), "instance").await?;
        let explanation = Explanation {
            operation: format!("operations/{OPERATION_PREFIX}{}", new.name.id()),
            name: new.name.clone(),
            display_name: new.display_name.clone(),
            teacher: new.teacher.clone(),
            autoencoder: new.autoencoder.clone(),
            instance: resolved.instance,
            neighborhood: new.neighborhood.clone(),
            student_spec: new.student_spec.clone(),
            state: ExplanationState::Queued,
            stage: Stage::Encoding,
            creator: caller.name.clone(),
            create_time: now,
            image: Some(resolved.image.clone()),
            gold_label: resolved.gold_label,
            soft_labels: None,
            latent: None,
            reconstruction: None,
            labeled_neighbor_count: 0,
            student: None,
        };
        let question = self.question_of(&explanation, &teacher, resolved.image).await?;
        Ok((explanation, question))
    }

    /// Reads an explanation that only its document is left of.
    pub(super) async fn question_again(&self, explanation: &Explanation) -> Result<Question> {
        let teacher = self.catalog.ready_teacher(&explanation.teacher).await?;
        let request = match explanation.instance.clone() {
            Instance::Example(name) => InstanceRequest::Example(name),
            Instance::Image { image, gold_label } => InstanceRequest::Pixels { image, gold_label },
        };
        let resolved = self.resolve(&teacher, request, "instance").await?;
        self.question_of(explanation, &teacher, resolved.image).await
    }

    async fn question_of(&self, explanation: &Explanation, teacher: &Teacher, image: Image) -> Result<Question> {
        let autoencoder = self.catalog.ready_autoencoder(&explanation.autoencoder).await?;
        let dimension_count = autoencoder.recipe.latent_dimension_count as usize;
        let mut violations = Violations::default();
        violations.take("neighborhood", explanation.neighborhood.validate(Some(dimension_count)));
        violations.take("student", explanation.student_spec.validate());
        for (i, range) in explanation.student_spec.ranges.iter().enumerate() {
            violations.check(range.dimension < dimension_count, &format!("student.ranges[{i}]"), || {
                format!("dimension {} is not below {dimension_count}", range.dimension)
            });
        }
        violations.finish()?;
        Ok(Question {
            student_name: explanation.name.child("students", "default")?,
            teacher: teacher.name.clone(),
            teacher_digest: teacher_digest(teacher),
            autoencoder: autoencoder.name.clone(),
            autoencoder_digest: autoencoder.digest.clone(),
            image,
            gold_label: explanation.gold_label,
            neighborhood: explanation.neighborhood.clone(),
            student_spec: explanation.student_spec.clone(),
        })
    }
}
