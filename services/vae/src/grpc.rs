//! The face: each RPC is parse, ask, present. Chunks of neighbors are computed as they are read.

mod requests;
mod training_stream;

use std::sync::Arc;

use domain::{Anchoring, Image, ImageBatch, NeighborhoodSpec, Result};
use futures::{Stream, StreamExt, stream::BoxStream};
use proto::{
    fields::{nested, required_from, under},
    raw::deeper::{types::v1 as types, vae::v1 as raw},
    types::MAX_BATCH_BYTES,
};
use raw::vae_service_server::VaeService;
use runtime::{call::Context, status};
use tonic::{Request, Response, Status};

use self::{
    requests::{autoencoder_name, chunks, points, training_request},
    training_stream::progress_stream,
};
use crate::{
    model::{MAX_CALL_SIZE, Model, Points},
    models::Models,
    neighborhood::Neighborhood,
};

/// Images of an interpolation whose number the caller left open.
const DEFAULT_STEP_COUNT: u32 = 9;

/// The service over its port.
pub struct Face<M> {
    models: Arc<M>,
}

impl<M: Models> Face<M> {
    /// A face for these models.
    pub fn new(models: Arc<M>) -> Self {
        Self { models }
    }

    async fn model(&self, name: &str) -> Result<Model> {
        self.models.model(&autoencoder_name(name)?).await
    }
}

#[tonic::async_trait]
impl<M: Models> VaeService for Face<M> {
    type GenerateNeighborsStream = BoxStream<'static, Result<raw::GenerateNeighborsResponse, Status>>;
    type TrainAutoencoderStream = BoxStream<'static, Result<raw::TrainAutoencoderResponse, Status>>;

    async fn encode_images(
        &self,
        request: Request<raw::EncodeImagesRequest>,
    ) -> Result<Response<raw::EncodeImagesResponse>, Status> {
        let answer = async {
            let request = request.into_inner();
            let images: ImageBatch = required_from("images", request.images)?;
            let latents = self.model(&request.autoencoder).await?.encode(images).await?;
            Ok(raw::EncodeImagesResponse { latents: latents.iter().map(types::Latent::from).collect() })
        };
        answer.await.map(Response::new).map_err(status::from_error)
    }

    async fn decode_latents(
        &self,
        request: Request<raw::DecodeLatentsRequest>,
    ) -> Result<Response<raw::DecodeLatentsResponse>, Status> {
        let answer = async {
            let request = request.into_inner();
            let points = points(request.latents)?;
            let anchor: Option<Image> = request.anchor.map(|image| nested("anchor", image)).transpose()?;
            let model = self.model(&request.autoencoder).await?;
            let residual = match anchor {
                Some(instance) => model.anchor(&instance, Anchoring::Residual).await?.residual,
                None => None,
            };
            let images = model.decode(points, residual.as_ref()).await?;
            Ok(raw::DecodeLatentsResponse { images: Some((&images).into()) })
        };
        answer.await.map(Response::new).map_err(status::from_error)
    }

    async fn generate_neighbors(
        &self,
        request: Request<raw::GenerateNeighborsRequest>,
    ) -> Result<Response<Self::GenerateNeighborsStream>, Status> {
        let answer = async {
            let request = request.into_inner();
            let instance: Image = required_from("instance", request.instance)?;
            let spec: NeighborhoodSpec = nested("neighborhood", request.neighborhood.unwrap_or_default())?;
            let largest = MAX_CALL_SIZE.min(MAX_BATCH_BYTES / instance.shape().pixel_count());
            let first = request.start_index as usize;
            let chunks = chunks(first..spec.neighbor_count, &request.chunk_sizes, largest)?;
            let model = self.model(&request.autoencoder).await?;
            let anchor = model.anchor(&instance, spec.anchoring).await?;
            let neighborhood = Neighborhood::new(&spec, &anchor.posterior_mean);
            let neighborhood = under("neighborhood", neighborhood)?;
            Ok(futures::stream::iter(chunks).then(move |chunk| {
                let (model, neighborhood, residual) = (model.clone(), neighborhood.clone(), anchor.residual.clone());
                async move {
                    let points = model.neighbors(&neighborhood, residual.as_ref(), chunk.clone()).await?;
                    Ok(neighbors_response(chunk.start, model.dimension_count(), &points))
                }
            }))
        };
        answer.await.map(present).map_err(status::from_error)
    }

    async fn interpolate_images(
        &self,
        request: Request<raw::InterpolateImagesRequest>,
    ) -> Result<Response<raw::InterpolateImagesResponse>, Status> {
        let answer = async {
            let request = request.into_inner();
            let anchoring = request.anchoring().into();
            let (from, to): (Image, Image) = (required_from("from", request.from)?, required_from("to", request.to)?);
            let step_count = if request.step_count == 0 { DEFAULT_STEP_COUNT } else { request.step_count };
            let model = self.model(&request.autoencoder).await?;
            let line = model.interpolate(&from, &to, step_count as usize, anchoring).await?;
            Ok(raw::InterpolateImagesResponse {
                images: Some((&line.images).into()),
                latents: line.coordinates.into_iter().map(types::LatentPoint::from).collect(),
            })
        };
        answer.await.map(Response::new).map_err(status::from_error)
    }

    async fn train_autoencoder(
        &self,
        request: Request<raw::TrainAutoencoderRequest>,
    ) -> Result<Response<Self::TrainAutoencoderStream>, Status> {
        let context = Context::of(&request);
        let request = request.into_inner();
        let (name, recipe) = training_request(request).map_err(status::from_error)?;
        let task = self.models.train(name, recipe, context.cancellation.child_token()).map_err(status::from_error)?;
        Ok(present(progress_stream(task, context.draining)))
    }
}

fn present<T: 'static>(
    answers: impl Stream<Item = Result<T>> + Send + 'static,
) -> Response<BoxStream<'static, Result<T, Status>>> {
    Response::new(answers.map(|answer| answer.map_err(status::from_error)).boxed())
}

fn neighbors_response(start: usize, dimension_count: usize, points: &Points) -> raw::GenerateNeighborsResponse {
    raw::GenerateNeighborsResponse {
        start_index: start as u32,
        coordinates: points.coordinates.concat(),
        dimension_count: dimension_count as u32,
        images: Some((&points.images).into()),
    }
}
