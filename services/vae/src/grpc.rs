//! The face: each RPC is parse, ask, present. Chunks of neighbors are computed as they are read.

use std::{ops::Range, sync::Arc};

use domain::{Anchoring, AutoencoderRecipe, Error, Image, ImageBatch, NeighborhoodSpec, ResourceName, Result, Violations};
use futures::{Stream, StreamExt, stream::BoxStream};
use proto::{
    fields::{nested, required_from},
    raw::deeper::{types::v1 as types, vae::v1 as raw},
    types::MAX_BATCH_BYTES,
};
use raw::vae_service_server::VaeService;
use runtime::{call::Context, status};
use tonic::{Request, Response, Status};

use crate::{
    model::{MAX_CALL_SIZE, Model, Points},
    models::Models,
    neighborhood::Neighborhood,
    training_stream::progress_stream,
};

/// Neighbors of a chunk whose size the caller left open.
const DEFAULT_CHUNK_SIZE: u32 = 250;
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
            let neighborhood = proto::fields::under("neighborhood", neighborhood)?;
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
        let task = self.models.train(name, recipe, context.cancellation.child_token());
        Ok(present(progress_stream(task, context.draining)))
    }
}

fn present<T: 'static>(
    answers: impl Stream<Item = Result<T>> + Send + 'static,
) -> Response<BoxStream<'static, Result<T, Status>>> {
    Response::new(answers.map(|answer| answer.map_err(status::from_error)).boxed())
}

fn autoencoder_name(name: &str) -> Result<ResourceName> {
    proto::fields::under("autoencoder", ResourceName::parse(name, ResourceName::AUTOENCODER))
}

fn training_request(request: raw::TrainAutoencoderRequest) -> Result<(ResourceName, AutoencoderRecipe)> {
    let mut violations = Violations::default();
    let name = violations.take("", autoencoder_name(&request.autoencoder));
    let recipe = violations.take("", required_from("recipe", request.recipe));
    violations.finish()?;
    name.zip(recipe).ok_or_else(|| Error::unexpected("a field without value and without violation"))
}

/// Points that a caller chose; what they must not be is told for all of them.
fn points(latents: Vec<types::LatentPoint>) -> Result<Vec<Vec<f32>>> {
    let limit = NeighborhoodSpec::MAX_COORDINATE;
    let mut violations = Violations::default();
    for (i, point) in latents.iter().take(MAX_CALL_SIZE).enumerate() {
        let within = point.coordinates.iter().all(|value| value.abs() <= limit);
        violations.check(within, &format!("latents[{i}]"), || format!("coordinates must be finite and within ±{limit}"));
    }
    violations.finish()?;
    Ok(latents.into_iter().map(|point| point.coordinates).collect())
}

/// Consecutive parts of the wanted neighbors. The last size repeats.
fn chunks(wanted: Range<usize>, sizes: &[u32], largest: usize) -> Result<Vec<Range<usize>>> {
    let mut violations = Violations::default();
    violations.check(!wanted.is_empty(), "start_index", || format!("{} is not below {}", wanted.start, wanted.end));
    violations.check(sizes.len() <= wanted.end, "chunk_sizes", || format!("{} sizes for {}", sizes.len(), wanted.end));
    let misfit = sizes.iter().find(|&&size| size == 0 || size as usize > largest);
    violations.check(misfit.is_none(), "chunk_sizes", || {
        format!("{} is outside 1 to {largest}", misfit.copied().unwrap_or_default())
    });
    violations.finish()?;
    let default = DEFAULT_CHUNK_SIZE.min(largest.max(1) as u32);
    let last = *sizes.last().unwrap_or(&default);
    let mut start = wanted.start;
    let mut chunks = Vec::new();
    for &size in sizes.iter().chain(std::iter::repeat(&last)) {
        if start >= wanted.end {
            break;
        }
        let end = wanted.end.min(start + size as usize);
        chunks.push(start..end);
        start = end;
    }
    Ok(chunks)
}

fn neighbors_response(start: usize, dimension_count: usize, points: &Points) -> raw::GenerateNeighborsResponse {
    raw::GenerateNeighborsResponse {
        start_index: start as u32,
        coordinates: points.coordinates.concat(),
        dimension_count: dimension_count as u32,
        images: Some((&points.images).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_what_is_wanted_and_the_last_size_repeats() {
        let cut = |range, sizes: &[u32]| chunks(range, sizes, 1_024).unwrap();
        assert_eq!(cut(0..600, &[]), [0..250, 250..500, 500..600]);
        assert_eq!(cut(0..200, &[64, 50]), [0..64, 64..114, 114..164, 164..200]);
        assert_eq!(cut(100..110, &[64]), [100..110]);
    }

    #[test]
    fn chunks_that_cannot_be_are_named() {
        for (range, sizes, field) in
            [(5..5, vec![], "start_index"), (0..9, vec![0], "chunk_sizes"), (0..9_999, vec![1_025], "chunk_sizes")]
        {
            let error = chunks(range, &sizes, 1_024).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
