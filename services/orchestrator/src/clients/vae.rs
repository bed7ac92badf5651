//! `Autoencoders` over gRPC.

use async_trait::async_trait;
use domain::{Anchoring, Error, Image, ImageBatch, Latent, NeighborhoodSpec, ResourceName, Result};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use proto::{
    fields::{each, required_from},
    raw::deeper::{
        types::v1 as types,
        vae::v1::{
            DecodeLatentsRequest, EncodeImagesRequest, GenerateNeighborsRequest, GenerateNeighborsResponse,
            InterpolateImagesRequest, vae_service_client::VaeServiceClient,
        },
    },
};
use runtime::{channel::Channel, server::MAX_MESSAGE_BYTES};

use super::{failed, ours, resuming::resuming};
use crate::ports::{Autoencoders, NeighborChunk};

/// The vae service behind a channel.
#[derive(Clone)]
pub struct VaeClient(VaeServiceClient<Channel>);

impl VaeClient {
    /// Uses `channel`; nothing is connected before the first call.
    pub fn new(channel: Channel) -> Self {
        Self(VaeServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }
}

#[async_trait]
impl Autoencoders for VaeClient {
    async fn encode(&self, autoencoder: &ResourceName, images: &ImageBatch) -> Result<Vec<Latent>> {
        let request = EncodeImagesRequest { autoencoder: autoencoder.to_string(), images: Some(images.into()) };
        let answer = self.0.clone().encode_images(request).await.map_err(failed("vae"))?.into_inner();
        let latents: Vec<Latent> = ours(each("latents", answer.latents))?;
        if latents.len() != images.len() {
            return Err(Error::unexpected(format!("{} latents of {} images", latents.len(), images.len())));
        }
        Ok(latents)
    }

    async fn decode(
        &self,
        autoencoder: &ResourceName,
        points: &[Vec<f32>],
        anchor: Option<&Image>,
    ) -> Result<ImageBatch> {
        let request = DecodeLatentsRequest {
            autoencoder: autoencoder.to_string(),
            latents: points.iter().cloned().map(Into::into).collect(),
            anchor: anchor.map(Into::into),
        };
        let answer = self.0.clone().decode_latents(request).await.map_err(failed("vae"))?.into_inner();
        let images: ImageBatch = ours(required_from("images", answer.images))?;
        if images.len() != points.len() {
            return Err(Error::unexpected(format!("{} images of {} points", images.len(), points.len())));
        }
        Ok(images)
    }

    async fn neighbors(
        &self,
        autoencoder: &ResourceName,
        instance: &Image,
        spec: &NeighborhoodSpec,
        start_index: usize,
        chunk_sizes: &[usize],
    ) -> Result<BoxStream<'static, Result<NeighborChunk>>> {
        let (client, whole) = (
            self.0.clone(),
            GenerateNeighborsRequest {
                autoencoder: autoencoder.to_string(),
                instance: Some(instance.into()),
                neighborhood: Some(spec.into()),
                ..Default::default()
            },
        );
        let open = move |start_index: usize, sizes: Vec<usize>| {
            let mut client = client.clone();
            let request = GenerateNeighborsRequest {
                start_index: start_index as u32,
                chunk_sizes: sizes.into_iter().map(|size| size as u32).collect(),
                ..whole.clone()
            };
            async move {
                let chunks = client.generate_neighbors(request).await.map_err(failed("vae"))?.into_inner();
                Ok(chunks.map(|chunk| read_chunk(chunk.map_err(failed("vae"))?)).boxed())
            }
            .boxed()
        };
        Ok(resuming(start_index, chunk_sizes, open).await?.boxed())
    }

    async fn interpolate(
        &self,
        autoencoder: &ResourceName,
        from: &Image,
        to: &Image,
        step_count: u32,
        anchoring: Anchoring,
    ) -> Result<(ImageBatch, Vec<Vec<f32>>)> {
        let request = InterpolateImagesRequest {
            autoencoder: autoencoder.to_string(),
            from: Some(from.into()),
            to: Some(to.into()),
            step_count,
            anchoring: types::Anchoring::from(anchoring).into(),
        };
        let answer = self.0.clone().interpolate_images(request).await.map_err(failed("vae"))?.into_inner();
        let images: ImageBatch = ours(required_from("images", answer.images))?;
        let points: Vec<Vec<f32>> = answer.latents.into_iter().map(|point| point.coordinates).collect();
        if images.len() != points.len() {
            return Err(Error::unexpected("an interpolation with unequal numbers of images and points"));
        }
        Ok((images, points))
    }
}

fn read_chunk(chunk: GenerateNeighborsResponse) -> Result<NeighborChunk> {
    let images: ImageBatch = ours(required_from("images", chunk.images))?;
    let dimension_count = chunk.dimension_count as usize;
    if dimension_count == 0 || chunk.coordinates.len() != images.len() * dimension_count {
        return Err(Error::unexpected("a chunk with unequal numbers of images and points"));
    }
    let points = chunk.coordinates.chunks_exact(dimension_count).map(<[f32]>::to_vec).collect();
    Ok(NeighborChunk { start_index: chunk.start_index as usize, points, images })
}
