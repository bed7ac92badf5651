//! The face over an in-process pipe, with an autoencoder whose answers are known: codes, details, limits,
//! chunks, cancellation.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use domain::{AutoencoderRecipe, Error, ImageBatch, ImageShape, Latent, Progress, ResourceName, Result, TrainingPhase};
use proto::{
    raw::deeper::{types::v1 as types, vae::v1 as raw},
    status::to_error,
};
use raw::vae_service_client::VaeServiceClient;
use runtime::{
    channel::{self, Channel},
    gate::Gate,
    long::{LongTask, TrainingQueue},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use vae::{
    model::Model,
    models::{Models, Trained},
    vae::Autoencoder,
};

const SHAPE: ImageShape = ImageShape::gray(1, 4);

/// z is the mean of each half of the image; decoding paints each half with its coordinate.
struct Halves;

impl Autoencoder for Halves {
    fn shape(&self) -> ImageShape {
        SHAPE
    }

    fn dimension_count(&self) -> usize {
        2
    }

    fn encode(&self, images: &ImageBatch) -> Result<Vec<Latent>> {
        let mean = |half: &[u8]| (f32::from(half[0]) + f32::from(half[1])) / 510.0;
        images.iter().map(|image| Latent::new(vec![mean(&image[..2]), mean(&image[2..])], vec![-3.0; 2])).collect()
    }

    fn decode(&self, points: &[Vec<f32>]) -> Result<Vec<f32>> {
        Ok(points.iter().flat_map(|z| [z[0], z[0], z[1], z[1]]).map(|pixel| pixel.clamp(0.0, 1.0)).collect())
    }
}

/// One model, one that is being trained until it has grown, and trainings that end at once (seed 1) or never.
struct KnownModels {
    halves: Model,
    grown: Arc<AtomicBool>,
    trainings: TrainingQueue,
    /// Becomes true when an endless training has seen that it was cancelled.
    stopped: watch::Sender<bool>,
}

#[async_trait]
impl Models for KnownModels {
    async fn model(&self, name: &ResourceName) -> Result<Model> {
        match name.id() {
            "halves" => Ok(self.halves.clone()),
            "young" if self.grown.load(Ordering::Relaxed) => Ok(self.halves.clone()),
            "young" => Err(Error::model_not_ready(name, "it is being trained", None)),
            _ => Err(Error::NotFound { kind: "AUTOENCODER", resource: name.to_string() }),
        }
    }

    fn train(
        &self,
        _: ResourceName,
        recipe: AutoencoderRecipe,
        cancellation: CancellationToken,
    ) -> Result<LongTask<Progress, Trained>> {
        let stopped = self.stopped.clone();
        self.trainings.start("train", cancellation, progress(TrainingPhase::Queued), move |context| {
            context.report(progress(TrainingPhase::Training));
            let is_endless = recipe.seed != 1;
            if is_endless {
                while !context.is_cancelled() {
                    context.step(std::thread::yield_now);
                }
                stopped.send_replace(true);
                return Err(Error::Cancelled);
            }
            Ok(Trained { digest: "d".repeat(64), loss: 99.5 })
        })
    }
}

fn progress(phase: TrainingPhase) -> Progress {
    Progress {
        phase,
        epoch: 0,
        epoch_count: 1,
        step: 0,
        step_count: 8,
        loss: 0.0,
        accuracy: 0.0,
        images_per_second: 0.0,
        remaining_seconds: 0.0,
        loss_curve: Vec::new(),
    }
}

struct World {
    client: VaeServiceClient<Channel>,
    health: HealthClient<Channel>,
    grown: Arc<AtomicBool>,
    stopped: watch::Receiver<bool>,
    shutdown: CancellationToken,
}

async fn world() -> World {
    world_that_warms(&[]).await
}

/// SERVING once these can answer.
async fn world_that_warms(names: &[&str]) -> World {
    let warm: Vec<_> = names.iter().map(|name| ResourceName::parse(name, ResourceName::AUTOENCODER).unwrap()).collect();
    let grown = Arc::<AtomicBool>::default();
    let gate = Gate::new();
    let halves =
        Model::start("halves", Default::default(), gate.clone(), || Ok(Box::new(Halves) as Box<dyn Autoencoder>))
            .await
            .unwrap();
    let (stopped, watcher) = watch::channel(false);
    let models = KnownModels { halves, grown: Arc::clone(&grown), trainings: TrainingQueue::new(gate), stopped };
    let (channel, incoming) = channel::in_process("vae");
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move { vae::serve_warm(Arc::new(models), &warm, incoming, stop).await });
    let health = HealthClient::new(channel.clone());
    World { client: VaeServiceClient::new(channel), health, grown, stopped: watcher, shutdown }
}

const NAME: &str = "autoencoders/halves";

fn image(pixels: [u8; 4]) -> types::Image {
    types::Image { channels: 1, height: 1, width: 4, pixels: pixels.to_vec() }
}

fn batch(pixels: &[u8]) -> types::ImageBatch {
    types::ImageBatch { channels: 1, height: 1, width: 4, pixels: pixels.to_vec() }
}

fn point(coordinates: &[f32]) -> types::LatentPoint {
    types::LatentPoint { coordinates: coordinates.to_vec() }
}

fn neighbors(count: u32, chunk_sizes: &[u32]) -> raw::GenerateNeighborsRequest {
    raw::GenerateNeighborsRequest {
        autoencoder: NAME.to_owned(),
        instance: Some(image([200, 100, 0, 50])),
        neighborhood: Some(types::NeighborhoodSpec { neighbor_count: Some(count), ..Default::default() }),
        start_index: 0,
        chunk_sizes: chunk_sizes.to_vec(),
    }
}

async fn collect(world: &World, request: raw::GenerateNeighborsRequest) -> Vec<raw::GenerateNeighborsResponse> {
    let mut stream = world.client.clone().generate_neighbors(request).await.unwrap().into_inner();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.message().await.unwrap() {
        chunks.push(chunk);
    }
    chunks
}

fn joined(chunks: &[raw::GenerateNeighborsResponse]) -> (Vec<f32>, Vec<u8>) {
    let coordinates = chunks.iter().flat_map(|chunk| chunk.coordinates.clone()).collect();
    (coordinates, chunks.iter().flat_map(|chunk| chunk.images.clone().unwrap().pixels).collect())
}

#[tokio::test]
async fn images_are_encoded_and_points_decoded() {
    let mut client = world().await.client;
    let request =
        raw::EncodeImagesRequest { autoencoder: NAME.to_owned(), images: Some(batch(&[255, 255, 0, 0, 0, 51, 51, 0])) };
    let latents = client.encode_images(request).await.unwrap().into_inner().latents;
    assert_eq!(latents[0].mean, [1.0, 0.0]);
    assert_eq!(latents[1].mean, [0.1, 0.1]);
    assert_eq!(latents[1].log_variance, [-3.0, -3.0]);
    let request = raw::DecodeLatentsRequest {
        autoencoder: NAME.to_owned(),
        latents: vec![point(&[1.0, 0.2]), point(&[-7.0, 0.0])],
        anchor: None,
    };
    let images = client.decode_latents(request).await.unwrap().into_inner().images.unwrap();
    assert_eq!(images.pixels, [255, 255, 51, 51, 0, 0, 0, 0]);
}

#[tokio::test]
async fn an_anchored_decoding_of_the_posterior_mean_is_the_instance_itself() {
    let mut client = world().await.client;
    let anchor = image([200, 100, 0, 50]);
    let request = raw::DecodeLatentsRequest {
        autoencoder: NAME.to_owned(),
        latents: vec![point(&[150.0 / 255.0, 25.0 / 255.0])],
        anchor: Some(anchor.clone()),
    };
    let images = client.decode_latents(request).await.unwrap().into_inner().images.unwrap();
    assert_eq!(images.pixels, anchor.pixels);
}

#[tokio::test]
async fn neighbors_are_the_same_in_any_chunks_and_more_extend_them() {
    let world = world().await;
    let whole = joined(&collect(&world, neighbors(600, &[600])).await);
    let chunks = collect(&world, neighbors(600, &[64, 100])).await;
    let starts: Vec<u32> = chunks.iter().map(|chunk| chunk.start_index).collect();
    assert_eq!(starts, [0, 64, 164, 264, 364, 464, 564]);
    assert_eq!(joined(&chunks), whole);
    let mut rest = neighbors(1_000, &[]);
    rest.start_index = 500;
    let (coordinates, pixels) = joined(&collect(&world, rest).await);
    assert_eq!(coordinates.len(), 2 * 500);
    assert_eq!((&coordinates[..200], &pixels[..400]), (&whole.0[1_000..], &whole.1[2_000..]));
}

#[tokio::test]
async fn anchored_neighbors_keep_the_residual_and_plain_ones_do_not() {
    let world = world().await;
    let (coordinates, anchored) = joined(&collect(&world, neighbors(100, &[])).await);
    let mut plain = neighbors(100, &[]);
    plain.neighborhood.as_mut().unwrap().anchoring = types::Anchoring::None.into();
    let (same_coordinates, plain) = joined(&collect(&world, plain).await);
    assert_eq!(coordinates, same_coordinates);
    for ((z, anchored), plain) in coordinates.chunks(2).zip(anchored.chunks(4)).zip(plain.chunks(4)) {
        let pixel = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        assert_eq!(plain, [z[0], z[0], z[1], z[1]].map(pixel));
        // x0 − dec(z0) of [200, 100, 0, 50] with z0 = [150, 25] / 255, by hand.
        let residual = [50.0, -50.0, -25.0, 25.0].map(|value| value / 255.0);
        let expected = [z[0], z[0], z[1], z[1]].map(|value| value.clamp(0.0, 1.0));
        let expected: Vec<u8> =
            expected.iter().zip(residual).map(|(value, residual)| pixel(value + residual)).collect();
        let near = anchored.iter().zip(&expected).all(|(got, expected)| got.abs_diff(*expected) <= 1);
        assert!(near, "{anchored:?} is not {expected:?}");
    }
}

#[tokio::test]
async fn an_interpolation_leads_from_one_image_to_the_other() {
    let mut client = world().await.client;
    let request = raw::InterpolateImagesRequest {
        autoencoder: NAME.to_owned(),
        from: Some(image([200, 100, 0, 50])),
        to: Some(image([0, 20, 255, 15])),
        step_count: 5,
        anchoring: types::Anchoring::Unspecified.into(),
    };
    let line = client.interpolate_images(request.clone()).await.unwrap().into_inner();
    let pixels = line.images.unwrap().pixels;
    assert_eq!((&pixels[..4], &pixels[16..]), (&[200, 100, 0, 50][..], &[0, 20, 255, 15][..]));
    assert_eq!(line.latents.len(), 5);
    let plain = raw::InterpolateImagesRequest { anchoring: types::Anchoring::None.into(), ..request };
    let pixels = client.interpolate_images(plain).await.unwrap().into_inner().images.unwrap().pixels;
    assert_eq!((&pixels[..4], &pixels[16..]), (&[150, 150, 25, 25][..], &[10, 10, 135, 135][..]));
}

#[tokio::test]
async fn every_mistake_has_its_typed_error() {
    let mut client = world().await.client;
    let decode =
        |name: &str, latents| raw::DecodeLatentsRequest { autoencoder: name.to_owned(), latents, anchor: None };
    let cases = [
        (decode("halves", vec![]), Code::InvalidArgument, "autoencoder"),
        (decode("autoencoders/none", vec![point(&[0.0, 0.0])]), Code::NotFound, "not found"),
        (decode("autoencoders/young", vec![point(&[0.0, 0.0])]), Code::Unavailable, "not ready"),
        (decode(NAME, vec![]), Code::InvalidArgument, "outside 1 to 1024"),
        (decode(NAME, vec![point(&[0.0, 0.0]); 1_025]), Code::InvalidArgument, "outside 1 to 1024"),
        (decode(NAME, vec![point(&[0.0])]), Code::InvalidArgument, "the autoencoder has 2"),
        (decode(NAME, vec![point(&[0.0, f32::NAN])]), Code::InvalidArgument, "latents[0]"),
        (decode(NAME, vec![point(&[21.0, 0.0])]), Code::InvalidArgument, "±20"),
    ];
    for (request, code, words) in cases {
        let status = client.decode_latents(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(to_error(&status).to_string().contains(words), "{:?} does not say {words:?}", to_error(&status));
    }
}

#[tokio::test]
async fn images_that_do_not_fit_are_refused() {
    let mut client = world().await.client;
    let encode = |images| raw::EncodeImagesRequest { autoencoder: NAME.to_owned(), images };
    let wide = types::ImageBatch { channels: 1, height: 1, width: 5, pixels: vec![0; 5] };
    let status = client.encode_images(encode(Some(wide))).await.unwrap_err();
    let expected = Error::image_shape(ImageShape::gray(1, 5), SHAPE);
    assert_eq!(to_error(&status), expected);
    for (images, words) in
        [(None, "images"), (Some(batch(&[])), "outside 1 to 1024"), (Some(batch(&[0; 3])), "whole number")]
    {
        let status = client.encode_images(encode(images)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(to_error(&status).to_string().contains(words), "{status}");
    }
}

#[tokio::test]
async fn neighborhoods_that_cannot_be_are_refused_before_the_first_chunk() {
    let mut client = world().await.client;
    let mut cases = vec![];
    let mut beyond = neighbors(100, &[]);
    beyond.start_index = 100;
    cases.push((beyond, "start_index"));
    cases.push((neighbors(100, &[0]), "chunk_sizes"));
    let mut third_axis = neighbors(100, &[]);
    third_axis.neighborhood.as_mut().unwrap().ranges = vec![types::LatentRange { dimension: 2, low: 0.0, high: 1.0 }];
    cases.push((third_axis, "neighborhood.ranges[0]"));
    let mut no_instance = neighbors(100, &[]);
    no_instance.instance = None;
    cases.push((no_instance, "instance"));
    for (request, field) in cases {
        let status = client.generate_neighbors(request).await.unwrap_err();
        assert!(to_error(&status).to_string().starts_with(field), "{status} does not name {field}");
    }
}

fn training(seed: u64) -> raw::TrainAutoencoderRequest {
    let recipe = types::AutoencoderRecipe {
        dataset: "datasets/mnist".to_owned(),
        training_split: "train".to_owned(),
        seed: Some(seed),
        ..Default::default()
    };
    raw::TrainAutoencoderRequest { autoencoder: "autoencoders/new".to_owned(), recipe: Some(recipe) }
}

#[tokio::test]
async fn a_training_reports_and_ends_with_what_was_trained() {
    let mut client = world().await.client;
    let mut stream = client.train_autoencoder(training(1)).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        assert!(last.is_none(), "nothing follows the trained autoencoder");
        last = message.trained.map(|trained| (trained, message.progress.unwrap().phase()));
    }
    let (trained, phase) = last.unwrap();
    assert_eq!((trained.digest, trained.loss), ("d".repeat(64), 99.5));
    assert_eq!(phase, types::TrainingPhase::Finished);
}

#[tokio::test]
async fn dropping_the_call_stops_the_training() {
    let mut world = world().await;
    let mut stream = world.client.train_autoencoder(training(2)).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    drop(stream);
    world.stopped.wait_for(|&stopped| stopped).await.unwrap();
}

#[tokio::test]
async fn a_process_that_drains_stops_its_training_and_says_that_it_goes() {
    let mut world = world().await;
    let mut stream = world.client.train_autoencoder(training(2)).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    world.shutdown.cancel();
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(to_error(&status), Error::UpstreamUnavailable { service: "vae".to_owned() });
    world.stopped.wait_for(|&stopped| stopped).await.unwrap();
}

#[tokio::test]
async fn every_wrong_field_of_a_training_is_named_at_once() {
    let mut client = world().await.client;
    let mut request = training(1);
    request.autoencoder = "teachers/x".to_owned();
    let recipe = request.recipe.as_mut().unwrap();
    (recipe.beta, recipe.latent_dimension_count) = (Some(-1.0), Some(65));
    let error = to_error(&client.train_autoencoder(request).await.unwrap_err()).to_string();
    for field in ["autoencoder", "recipe.beta", "recipe.latent_dimension_count"] {
        assert!(error.contains(field), "{error} does not name {field}");
    }
}

#[tokio::test]
async fn a_named_autoencoder_must_be_warm_before_the_service_is_serving() {
    let mut world = world_that_warms(&[NAME, "autoencoders/young"]).await;
    let request = HealthCheckRequest { service: "deeper.vae.v1.VaeService".to_owned() };
    let mut health = world.health.watch(request).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    // Whoever does not wait for it is answered.
    let ask = raw::EncodeImagesRequest { autoencoder: NAME.to_owned(), images: Some(batch(&[0; 4])) };
    world.client.encode_images(ask).await.unwrap();
    world.grown.store(true, Ordering::Relaxed);
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
}
