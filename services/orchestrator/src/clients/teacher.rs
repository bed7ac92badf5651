//! `Teachers` over gRPC.

use async_trait::async_trait;
use domain::{Attribution, Error, Image, ImageBatch, Logits, ResourceName, Result};
use proto::{
    raw::deeper::teacher::v1::{
        AttributeImageRequest, ClassifyImagesRequest, teacher_service_client::TeacherServiceClient,
    },
    specs::AttributionRequest,
    types::logits_from_flat,
};
use runtime::{channel::Channel, server::MAX_MESSAGE_BYTES};

use super::{failed, ours};
use crate::ports::Teachers;

/// Most images in one call: 1 MiB of pixels is more than this for the shapes in use, and the service takes
/// no more.
const MAX_IMAGE_COUNT: usize = 1_024;

/// The teacher service behind a channel.
#[derive(Clone)]
pub struct TeacherClient(TeacherServiceClient<Channel>);

impl TeacherClient {
    /// Uses `channel`; nothing is connected before the first call.
    pub fn new(channel: Channel) -> Self {
        Self(TeacherServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }
}

#[async_trait]
impl Teachers for TeacherClient {
    async fn classify(&self, teacher: &ResourceName, images: &ImageBatch) -> Result<Vec<Logits>> {
        let mut logits = Vec::with_capacity(images.len());
        for batch in super::batches(images, MAX_IMAGE_COUNT) {
            let request = ClassifyImagesRequest { teacher: teacher.to_string(), images: Some((&batch).into()) };
            let answer = self.0.clone().classify_images(request).await.map_err(failed("teacher"))?.into_inner();
            let answers = ours(logits_from_flat(&answer.logits, answer.label_count as usize))?;
            if answers.len() != batch.len() {
                return Err(Error::unexpected(format!("{} answers to {} images", answers.len(), batch.len())));
            }
            logits.extend(answers);
        }
        Ok(logits)
    }

    async fn attribute(
        &self,
        teacher: &ResourceName,
        image: &Image,
        request: AttributionRequest,
    ) -> Result<Attribution> {
        let message = AttributeImageRequest {
            teacher: teacher.to_string(),
            image: Some(image.into()),
            spec: Some((&request).into()),
        };
        let answer = self.0.clone().attribute_image(message).await.map_err(failed("teacher"))?.into_inner();
        ours(answer.try_into())
    }
}
