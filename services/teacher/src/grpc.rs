//! The face: each call is parsed, asked of the models, and presented. The only file here that knows
//! generated types.

mod streams;

use std::sync::Arc;

use domain::{Error, Image, ImageBatch, ResourceName, Result, TeacherRecipe, Violations};
use futures::stream::BoxStream;
use proto::{
    fields::{required, required_from},
    raw::deeper::teacher::v1::{
        AttributeImageRequest, AttributeImageResponse, ClassifyImagesRequest, ClassifyImagesResponse,
        EvaluateTeacherRequest, EvaluateTeacherResponse, TrainTeacherRequest, TrainTeacherResponse,
        teacher_service_server::TeacherService,
    },
    specs::AttributionRequest,
    types::flat_from_logits,
};
use runtime::{call::Context, status::from_error};
use tonic::{Request, Response, Status};

use crate::models::{AttributionQuestion, Classified, Models};

/// Most images of one call.
const MAX_IMAGE_COUNT: usize = 1_024;

/// Speaks `deeper.teacher.v1`.
pub(crate) struct Face {
    models: Arc<Models>,
}

impl Face {
    /// Over these models.
    pub(crate) fn new(models: Arc<Models>) -> Self {
        Self { models }
    }
}

#[tonic::async_trait]
impl TeacherService for Face {
    type TrainTeacherStream = BoxStream<'static, Result<TrainTeacherResponse, Status>>;
    type EvaluateTeacherStream = BoxStream<'static, Result<EvaluateTeacherResponse, Status>>;

    async fn classify_images(
        &self,
        request: Request<ClassifyImagesRequest>,
    ) -> Result<Response<ClassifyImagesResponse>, Status> {
        let context = Context::of(&request);
        let (teacher, images) = parse_classify(request.into_inner()).map_err(from_error)?;
        let classified = context.run(self.models.classify(&teacher, &images)).await.map_err(from_error)?;
        Ok(Response::new(present_classified(&classified)))
    }

    async fn attribute_image(
        &self,
        request: Request<AttributeImageRequest>,
    ) -> Result<Response<AttributeImageResponse>, Status> {
        let context = Context::of(&request);
        let (teacher, image, question) = parse_attribute(request.into_inner()).map_err(from_error)?;
        let attribution = context.run(self.models.attribute(&teacher, &image, question)).await.map_err(from_error)?;
        Ok(Response::new((&attribution).into()))
    }

    async fn train_teacher(
        &self,
        request: Request<TrainTeacherRequest>,
    ) -> Result<Response<Self::TrainTeacherStream>, Status> {
        let context = Context::of(&request);
        let (teacher, recipe) = parse_train(request.into_inner()).map_err(from_error)?;
        let task = self.models.train(teacher, recipe, context.cancellation.child_token()).map_err(from_error)?;
        Ok(Response::new(streams::training(task, context)))
    }

    async fn evaluate_teacher(
        &self,
        request: Request<EvaluateTeacherRequest>,
    ) -> Result<Response<Self::EvaluateTeacherStream>, Status> {
        let context = Context::of(&request);
        let (teacher, dataset, split) = parse_evaluate(request.into_inner()).map_err(from_error)?;
        let evaluation = Arc::clone(&self.models).evaluate(teacher, dataset, split);
        let snapshots = context.run(evaluation).await.map_err(from_error)?;
        Ok(Response::new(streams::evaluation(snapshots, context)))
    }
}

fn parse_classify(request: ClassifyImagesRequest) -> Result<(ResourceName, ImageBatch)> {
    let mut violations = Violations::default();
    let teacher = violations.take("teacher", ResourceName::parse(&request.teacher, ResourceName::TEACHER));
    let images: Option<ImageBatch> = violations.take("", required_from("images", request.images));
    if let Some(images) = &images {
        violations.check((1..=MAX_IMAGE_COUNT).contains(&images.len()), "images", || {
            format!("{} images are outside 1 to {MAX_IMAGE_COUNT}", images.len())
        });
    }
    violations.finish()?;
    both(teacher, images)
}

fn parse_attribute(request: AttributeImageRequest) -> Result<(ResourceName, Image, AttributionQuestion)> {
    let mut violations = Violations::default();
    let teacher = violations.take("teacher", ResourceName::parse(&request.teacher, ResourceName::TEACHER));
    let image = violations.take("", required_from("image", request.image));
    let spec = violations.take("spec", AttributionRequest::try_from(request.spec.unwrap_or_default()));
    violations.finish()?;
    let (teacher, image) = both(teacher, image)?;
    let AttributionRequest { method, target, baseline } = required("spec", spec)?;
    Ok((teacher, image, AttributionQuestion { method, target, baseline }))
}

fn parse_train(request: TrainTeacherRequest) -> Result<(ResourceName, TeacherRecipe)> {
    let mut violations = Violations::default();
    let teacher = violations.take("teacher", ResourceName::parse(&request.teacher, ResourceName::TEACHER));
    let recipe = violations.take("", required_from("recipe", request.recipe));
    violations.finish()?;
    both(teacher, recipe)
}

fn parse_evaluate(request: EvaluateTeacherRequest) -> Result<(ResourceName, ResourceName, String)> {
    let mut violations = Violations::default();
    let teacher = violations.take("teacher", ResourceName::parse(&request.teacher, ResourceName::TEACHER));
    let dataset = violations.take("dataset", ResourceName::parse(&request.dataset, ResourceName::DATASET));
    violations.check(!request.split.is_empty(), "split", || "is required".to_owned());
    violations.finish()?;
    let (teacher, dataset) = both(teacher, dataset)?;
    Ok((teacher, dataset, request.split))
}

/// What is missing here was noted as a violation before.
fn both<A, B>(a: Option<A>, b: Option<B>) -> Result<(A, B)> {
    a.zip(b).ok_or_else(|| Error::unexpected("a field is missing without a violation"))
}

fn present_classified(classified: &Classified) -> ClassifyImagesResponse {
    ClassifyImagesResponse {
        logits: flat_from_logits(&classified.logits),
        label_count: classified.label_count as u32,
        queue_ms: classified.queue.as_secs_f64() * 1e3,
        compute_ms: classified.compute.as_secs_f64() * 1e3,
    }
}
