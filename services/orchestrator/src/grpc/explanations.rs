//! `ExplanationService`: parse, ask, present.

mod parse;
mod present;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use domain::Temperature;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use proto::raw::{
    deeper::explanation::v1::{self as raw, explanation_service_server::ExplanationService},
    google::longrunning::Operation,
};
use runtime::{
    call::Context,
    page::{self, Page},
    status::from_error,
};
use tonic::{Request, Response, Status};

pub(crate) use self::present::operation;
use crate::{caller::Caller, explanations::Explanations};

/// Students a page by default, and at most: each is about 100 KB.
const STUDENT_PAGE_SIZES: (usize, usize) = (10, 20);

/// The public face of explanations.
pub struct ExplanationsFace {
    explanations: Explanations,
}

impl ExplanationsFace {
    /// Serves these explanations.
    pub fn new(explanations: Explanations) -> Self {
        Self { explanations }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ExplanationService for ExplanationsFace {
    async fn create_explanation(&self, request: Request<raw::CreateExplanationRequest>) -> Answer<Operation> {
        let context = Context::of(&request);
        let caller = Caller::of(&request);
        let new = parse::new_explanation(request.into_inner()).map_err(from_error)?;
        let live = context.run(self.explanations.create(&caller, new, now())).await.map_err(from_error)?;
        Ok(Response::new(present::operation(&live.current())))
    }

    type WatchExplanationStream = BoxStream<'static, Result<raw::Explanation, Status>>;

    async fn watch_explanation(
        &self,
        request: Request<raw::WatchExplanationRequest>,
    ) -> Answer<Self::WatchExplanationStream> {
        let context = Context::of(&request);
        let name = parse::explanation_name(&request.get_ref().name).map_err(from_error)?;
        let live = context.run(self.explanations.get(&name)).await.map_err(from_error)?;
        let mut states = live.watch();
        states.mark_changed();
        // Ends with the state that is the last: nothing comes after it that one could wait for.
        let changes = stream::unfold(Some(states), |states| async move {
            let mut states = states?;
            states.changed().await.ok()?;
            let explanation = states.borrow_and_update().clone();
            let rest = (!explanation.is_done()).then_some(states);
            Some((explanation, rest))
        });
        let draining = context.draining.clone();
        let updates = changes.map(|explanation| Ok(raw::Explanation::from(&*explanation)));
        Ok(Response::new(updates.take_until(async move { draining.cancelled().await }).boxed()))
    }

    async fn get_explanation(&self, request: Request<raw::GetExplanationRequest>) -> Answer<raw::Explanation> {
        let context = Context::of(&request);
        let name = parse::explanation_name(&request.get_ref().name).map_err(from_error)?;
        let live = context.run(self.explanations.get(&name)).await.map_err(from_error)?;
        Ok(Response::new((&*live.current()).into()))
    }

    async fn list_explanations(
        &self,
        request: Request<raw::ListExplanationsRequest>,
    ) -> Answer<raw::ListExplanationsResponse> {
        let context = Context::of(&request);
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let arguments = ["explanations", &caller.name];
        let page = Page::parse(request.page_size, &request.page_token, &arguments).map_err(from_error)?;
        let mut all = context.run(self.explanations.list()).await.map_err(from_error)?;
        caller.own_first(&mut all, |explanation| &explanation.creator);
        let (shown, next_page_token) = present::page(&all, &page, page.size, &arguments).map_err(from_error)?;
        let explanations = shown.iter().map(present::without_maps).collect();
        Ok(Response::new(raw::ListExplanationsResponse { explanations, next_page_token }))
    }

    async fn delete_explanation(&self, request: Request<raw::DeleteExplanationRequest>) -> Answer<()> {
        let caller = Caller::of(&request);
        let name = parse::explanation_name(&request.get_ref().name).map_err(from_error)?;
        self.explanations.delete(&caller, &name).await.map_err(from_error)?;
        Ok(Response::new(()))
    }

    async fn list_neighbors(&self, request: Request<raw::ListNeighborsRequest>) -> Answer<raw::ListNeighborsResponse> {
        let context = Context::of(&request);
        let request = parse::neighbors(request.get_ref()).map_err(from_error)?;
        let (name, with_images) = (&request.parent, request.with_images);
        let live = context.run(self.explanations.get(name)).await.map_err(from_error)?;
        let start = request.page.offset().map_err(from_error)?;
        let neighborhood = live.neighborhood();
        let end = start.saturating_add(present::neighbor_page_size(request.page.size, &live.current(), with_images));
        let neighbors = neighborhood.page(start, end, with_images);
        let more = end < neighborhood.len();
        Ok(Response::new(raw::ListNeighborsResponse {
            neighbors: neighbors.iter().map(|neighbor| proto::explanation::raw_neighbor(name, neighbor)).collect(),
            next_page_token: if more { page::token(&end.to_string(), &request.arguments()) } else { String::new() },
        }))
    }

    type CreateStudentStream = BoxStream<'static, Result<raw::CreateStudentResponse, Status>>;

    async fn create_student(&self, request: Request<raw::CreateStudentRequest>) -> Answer<Self::CreateStudentStream> {
        let context = Context::of(&request);
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let dimension_count =
            context.run(self.explanations.dimensions_in(&request.parent)).await.map_err(from_error)?;
        let (parent, id, spec) = parse::new_student(request, dimension_count).map_err(from_error)?;
        let updates = self.explanations.create_student(&caller, &parent, id, spec);
        let updates = context.run(updates).await.map_err(from_error)?;
        Ok(Response::new(updates.map(|update| update.map(present::student_update).map_err(from_error)).boxed()))
    }

    async fn get_student(&self, request: Request<raw::GetStudentRequest>) -> Answer<raw::Student> {
        let context = Context::of(&request);
        let name = parse::student_name(&request.get_ref().name).map_err(from_error)?;
        let student = context.run(self.explanations.student(&name)).await.map_err(from_error)?;
        Ok(Response::new(present::student(&student)))
    }

    async fn list_students(&self, request: Request<raw::ListStudentsRequest>) -> Answer<raw::ListStudentsResponse> {
        let context = Context::of(&request);
        let request = request.into_inner();
        let (parent, page) = parse::students(&request).map_err(from_error)?;
        let arguments = parse::student_arguments(parent.as_str());
        let (default, most) = STUDENT_PAGE_SIZES;
        let size = if request.page_size == 0 { default } else { page.size.min(most) };
        let all = context.run(self.explanations.students(&parent)).await.map_err(from_error)?;
        let (shown, next_page_token) = present::page(&all, &page, size, &arguments).map_err(from_error)?;
        let students = shown.iter().map(present::student).collect();
        Ok(Response::new(raw::ListStudentsResponse { students, next_page_token }))
    }

    async fn encode_instance(
        &self,
        request: Request<raw::EncodeInstanceRequest>,
    ) -> Answer<raw::EncodeInstanceResponse> {
        let context = Context::of(&request);
        let (teacher, autoencoder, instance) = parse::encode(request.into_inner()).map_err(from_error)?;
        let encode = self.explanations.encode(&teacher, &autoencoder, instance);
        let (resolved, encoded) = context.run(encode).await.map_err(from_error)?;
        Ok(Response::new(raw::EncodeInstanceResponse {
            image: Some((&encoded.image).into()),
            gold_label: resolved.gold_label.map(|label| label.0),
            soft_labels: Some((&encoded.logits.soft_labels(Temperature::ONE)).into()),
            latent: Some((&encoded.latent).into()),
            reconstruction: Some((&encoded.checked_reconstruction()).into()),
        }))
    }

    async fn decode_latents(&self, request: Request<raw::DecodeLatentsRequest>) -> Answer<raw::DecodeLatentsResponse> {
        let context = Context::of(&request);
        let request = request.into_inner();
        let dimension_count = context.run(self.explanations.dimensions_of(&request.autoencoder)).await;
        let request = parse::decode(request, dimension_count.map_err(from_error)?).map_err(from_error)?;
        let decode = self.explanations.decode(&request.teacher, &request.autoencoder, &request.points, request.anchor);
        let decoded = context.run(decode).await.map_err(from_error)?;
        Ok(Response::new(raw::DecodeLatentsResponse { images: decoded.iter().map(present::decoded).collect() }))
    }

    async fn interpolate_instances(
        &self,
        request: Request<raw::InterpolateInstancesRequest>,
    ) -> Answer<raw::InterpolateInstancesResponse> {
        let context = Context::of(&request);
        let request = parse::interpolation(request.into_inner()).map_err(from_error)?;
        let decoded = context.run(self.explanations.interpolate(request)).await.map_err(from_error)?;
        Ok(Response::new(raw::InterpolateInstancesResponse { images: decoded.iter().map(present::decoded).collect() }))
    }

    async fn attribute_instance(
        &self,
        request: Request<raw::AttributeInstanceRequest>,
    ) -> Answer<raw::AttributeInstanceResponse> {
        let context = Context::of(&request);
        let request = request.into_inner();
        let dataset = context.run(self.explanations.dataset_of(&request.teacher)).await.map_err(from_error)?;
        let (teacher, instance, spec) = parse::attribution(request, dataset.as_ref()).map_err(from_error)?;
        let attribute = self.explanations.attribute(&teacher, instance, spec);
        let attribution = context.run(attribute).await.map_err(from_error)?;
        Ok(Response::new((&attribution).into()))
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() as i64
}
