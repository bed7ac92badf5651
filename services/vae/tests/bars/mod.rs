//! A made-up data set that is learned in a second, and recipes for it.
#![allow(dead_code, reason = "each test program uses its part")]

use artifacts::{Artifacts, IdxSplit, idx};
use domain::{AutoencoderRecipe, ImageBatch, ImageShape, ResourceName};

pub(crate) const SHAPE: ImageShape = ImageShape::gray(8, 8);
const IMAGE_COUNT: usize = 1_000;

/// Bars of every width, height and place: two dimensions describe most of them.
pub(crate) fn bars() -> ImageBatch {
    let mut pixels = Vec::with_capacity(IMAGE_COUNT * 64);
    for i in 0..IMAGE_COUNT {
        let (left, top) = (i % 5, (i / 5) % 5);
        let ink = 155 + (i / 25 % 4) as u8 * 25;
        let inside = |pixel: usize| (left..left + 3).contains(&(pixel % 8)) && (top..top + 3).contains(&(pixel / 8));
        pixels.extend((0..64).map(|pixel| if inside(pixel) { ink } else { 0 }));
    }
    ImageBatch::new(SHAPE, pixels).unwrap()
}

pub(crate) fn name(id: &str) -> ResourceName {
    ResourceName::new(ResourceName::AUTOENCODER, &[id]).unwrap()
}

pub(crate) fn recipe(epoch_count: u32) -> AutoencoderRecipe {
    let dataset = ResourceName::parse("datasets/bars", ResourceName::DATASET).unwrap();
    AutoencoderRecipe {
        latent_dimension_count: 4,
        hidden_size: 64,
        epoch_count,
        batch_size: 48,
        ..AutoencoderRecipe::defaults(dataset, "train".to_owned())
    }
}

/// Imports the data set.
pub(crate) async fn import(artifacts: &Artifacts) {
    let images = idx::encode_images(&bars());
    let labels = idx::encode_labels(&[0; IMAGE_COUNT]);
    let splits = vec![IdxSplit { id: "train".to_owned(), images, labels }];
    artifacts.import_idx(&recipe(1).dataset, "Bars", vec!["bar".to_owned()], splits).await.unwrap();
}
