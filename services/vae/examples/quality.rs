//! Trains the default autoencoder on MNIST as the service does and tells how good and how fast it is:
//! `cargo run -p vae --features torch --example quality -- MNIST_FOLDER [THREADS [SHEET.pgm]]`.
//! The sheet shows test images, their reconstructions, and anchored and plain neighbors.
#![allow(clippy::print_stdout, reason = "its answer is what it prints")]

use std::{path::Path, time::Instant};

use artifacts::Artifacts;
use domain::{Anchoring, AutoencoderRecipe, ImageBatch, NeighborhoodSpec, ResourceName};
use runtime::{gate::Gate, long::TrainingQueue};
use tokio_util::sync::CancellationToken;
use vae::{
    model::{MAX_CALL_SIZE, Model},
    models::Models,
    neighborhood::Neighborhood,
    stored::StoredModels,
};

const SHEET_COLUMNS: usize = 18;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or_else(|| anyhow::anyhow!("the folder of the four MNIST files is missing"))?;
    let thread_count = arguments.next().map_or(Ok(1), |count| count.parse())?;
    let store = Artifacts::in_memory();
    let mnist = store.import_mnist(Path::new(&folder)).await?.name;
    let gate = Gate::new();
    let models =
        StoredModels::new(store.clone(), gate.clone(), TrainingQueue::new(gate), tch::Device::Cpu, thread_count);

    let name = ResourceName::new(ResourceName::AUTOENCODER, &["quality"])?;
    let recipe = AutoencoderRecipe::defaults(mnist.clone(), "train".to_owned());
    let started_at = Instant::now();
    let mut task =
        models.train(name.clone(), recipe, CancellationToken::new()).expect("any number of trainings is taken");
    let mut epoch = 0;
    while task.progress.changed().await.is_ok() {
        let progress = task.progress.borrow_and_update().clone();
        if progress.epoch > epoch {
            epoch = progress.epoch;
            println!("epoch {epoch}: -ELBO {:.2} nats, {:.0} images/s", progress.loss, progress.images_per_second);
        }
    }
    let trained = task.finished().await?;
    println!("trained in {:.1} s, digest {}", started_at.elapsed().as_secs_f64(), &trained.digest[..16]);

    let model = models.model(&name).await?;
    let test = store.split(&mnist, "t10k").await?;
    report_quality(&model, &test.images).await?;
    report_speed(&model).await?;
    if let Some(path) = arguments.next() {
        let sheet = sheet(&model, &test.images).await?;
        let header = format!("P5 {} {} 255\n", SHEET_COLUMNS * 28, sheet.len() / (SHEET_COLUMNS * 28));
        std::fs::write(path, [header.as_bytes(), &sheet].concat())?;
    }
    Ok(())
}

/// Reconstruction from the posterior mean, as in facts: BCE in nats an image, MSE a pixel, KL.
async fn report_quality(model: &Model, images: &ImageBatch) -> anyhow::Result<()> {
    let (mut cross_entropy, mut squares, mut divergence) = (0.0, 0.0, 0.0);
    for start in (0..images.len()).step_by(MAX_CALL_SIZE) {
        let block = images.slice(start, start + MAX_CALL_SIZE);
        let latents = model.encode(block.clone()).await?;
        for (mean, log_variance) in latents.iter().flat_map(|latent| latent.mean.iter().zip(&latent.log_variance)) {
            let (mean, log_variance) = (f64::from(*mean), f64::from(*log_variance));
            divergence += 0.5 * (mean * mean + log_variance.exp() - log_variance - 1.0);
        }
        let means = latents.into_iter().map(|latent| latent.mean).collect();
        let decoded = model.decode(means, None).await?;
        for (&pixel, &answer) in block.pixels().iter().zip(decoded.pixels()) {
            let (pixel, answer) = (f64::from(pixel) / 255.0, f64::from(answer) / 255.0);
            // Rounded to bytes, so a certain answer is only certain to half a byte.
            let certain = answer.clamp(0.25 / 255.0, 1.0 - 0.25 / 255.0);
            cross_entropy -= pixel * certain.ln() + (1.0 - pixel) * (1.0 - certain).ln();
            squares += (pixel - answer).powi(2);
        }
    }
    let count = images.len() as f64;
    let mse = squares / (count * images.shape().pixel_count() as f64);
    println!("10k test: BCE {:.1} nats, MSE {mse:.4}, KL {:.1}", cross_entropy / count, divergence / count);
    Ok(())
}

async fn report_speed(model: &Model) -> anyhow::Result<()> {
    let spec = NeighborhoodSpec { neighbor_count: 10_000, ..Default::default() };
    let neighborhood = Neighborhood::new(&spec, &vec![0.0; model.dimension_count()])?;
    let started_at = Instant::now();
    let point_count: usize = (0..10).map(|chunk| neighborhood.points(chunk * 1_000..(chunk + 1) * 1_000).len()).sum();
    println!("drawing 1,000 points: {:.1} ms", started_at.elapsed().as_secs_f64() * 1e3 * 1_000.0 / point_count as f64);
    let started_at = Instant::now();
    for chunk in 0..10 {
        model.neighbors(&neighborhood, None, chunk * 1_000..(chunk + 1) * 1_000).await?;
    }
    println!("1,000 neighbors: {:.1} ms", started_at.elapsed().as_secs_f64() * 100.0);
    Ok(())
}

/// Two rows an image: itself, its reconstruction, 16 neighbors; anchored ones above, plain ones below.
async fn sheet(model: &Model, images: &ImageBatch) -> anyhow::Result<Vec<u8>> {
    let mut sheet = Vec::new();
    for image in (0..12).filter_map(|i| images.image(i)) {
        for anchoring in [Anchoring::Residual, Anchoring::None] {
            let anchor = model.anchor(&image, anchoring).await?;
            let spec = NeighborhoodSpec { anchoring, ..Default::default() };
            let neighborhood = Neighborhood::new(&spec, &anchor.posterior_mean)?;
            let neighbors = model.neighbors(&neighborhood, anchor.residual.as_ref(), 0..SHEET_COLUMNS - 2).await?;
            let center = model.decode(vec![anchor.posterior_mean], None).await?;
            let mut row = ImageBatch::from_images(image.shape(), [&image])?;
            row.extend(&center)?;
            row.extend(&neighbors.images)?;
            let line = |y: usize| row.iter().flat_map(move |image| image[y * 28..(y + 1) * 28].to_vec());
            sheet.extend((0..28).flat_map(line));
        }
    }
    Ok(sheet)
}
