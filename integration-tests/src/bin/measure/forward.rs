//! The teacher's forward pass, asked over gRPC, in alternation with PyTorch's eager f32 in Python on the same
//! weights, images and batches; and whether both give the same answers.

use std::{net::Ipv4Addr, path::Path, time::Instant};

use domain::{Label, Logits, Temperature};
use integration_tests::{
    Api,
    trust::{Bar, Models},
};
use proto::raw::deeper::{
    catalog::v1 as catalog,
    teacher::v1::{ClassifyImagesRequest, teacher_service_client::TeacherServiceClient},
    types::v1 as types,
};
use runtime::{channel::Channel, server::MAX_MESSAGE_BYTES};
use teacher::{ComputeConfig, Config};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use super::{
    numbers::Spread,
    peer::{Classified, Peer},
};

/// Images of one round: one call of ours.
const IMAGES_A_ROUND: i32 = 1_000;

/// What one round took and said.
struct Round {
    /// Milliseconds of ClassifyImages.
    ours: f64,
    /// Milliseconds of the peer in our batches.
    same_batch: f64,
    /// Milliseconds of the peer in the batches it likes best.
    best_batch: f64,
    image_count: usize,
    /// Images that the two give different classes.
    flips: usize,
    /// Largest difference of two probabilities.
    largest_gap: f64,
}

/// Every round has other images, so that the answers of `round_count` thousand are compared.
pub(super) async fn run(
    api: &Api,
    models: &Models,
    peer: &mut Peer,
    artifacts: &Path,
    round_count: usize,
) -> Result<Vec<Bar>, Status> {
    let mut teacher = Service::start(artifacts, &models.teacher.name).await?;
    let mut pages = Pages::of(api, models);
    let by = |size: usize| format!("eager by {size}");
    let (same, best) = (by(teacher.batch_size), by(peer.best_batch));
    println!("\n{:>10} {same:>13} {best:>13} {:>7} {:>12}   (ms)", "ours", "flips", "largest gap");
    let mut rounds = Vec::new();
    // The first round warms both and is not counted.
    for index in 0..=round_count {
        let Some(examples) = pages.next().await? else { break };
        let round = measure_round(&mut teacher, peer, &examples, index).await?;
        let Round { ours, same_batch, best_batch, flips, largest_gap, .. } = round;
        println!("{ours:>10.1} {same_batch:>13.1} {best_batch:>13.1} {flips:>7} {largest_gap:>12.4}");
        rounds.push(round);
    }
    let counted = rounds.get(1..).unwrap_or_default();
    let images_a_second = |time: fn(&Round) -> f64| {
        Spread::of(counted.iter().map(|round| round.image_count as f64 * 1e3 / time(round))).median
    };
    println!(
        "images a second, medians: ours {:.0}, eager by {} {:.0}, eager by {} {:.0}",
        images_a_second(|it| it.ours),
        teacher.batch_size,
        images_a_second(|it| it.same_batch),
        peer.best_batch,
        images_a_second(|it| it.best_batch),
    );
    let same = Spread::of(counted.iter().map(|round| round.same_batch / round.ours));
    let best = Spread::of(counted.iter().map(|round| round.best_batch / round.ours));
    println!("times as fast as eager f32 in the same batches: {same}; in its own best batches: {best}");
    let image_count: usize = rounds.iter().map(|round| round.image_count).sum();
    let flips: usize = rounds.iter().map(|round| round.flips).sum();
    println!("{flips} of {image_count} images are given another class");
    Ok(vec![
        Bar::at_least("forward pass, times as fast as eager f32", same.median, 2.3),
        Bar::at_most("share of classes that differ from f32", flips as f64 / image_count as f64, 0.002),
    ])
}

/// Both on the same images; every other round the other way around.
async fn measure_round(
    teacher: &mut Service,
    peer: &mut Peer,
    examples: &[catalog::Example],
    index: usize,
) -> Result<Round, Status> {
    let names: Vec<String> = examples.iter().map(|example| example.name.clone()).collect();
    let (batch_size, best_batch) = (teacher.batch_size, peer.best_batch);
    let (ours, same, best);
    if index.is_multiple_of(2) {
        ours = teacher.classify(examples).await?;
        same = peer.classify(&names, batch_size).await?;
        best = peer.classify(&names, best_batch).await?;
    } else {
        best = peer.classify(&names, best_batch).await?;
        same = peer.classify(&names, batch_size).await?;
        ours = teacher.classify(examples).await?;
    }
    let (flips, largest_gap) = compare(&ours.logits, &same.logits, examples.len())?;
    Ok(Round {
        ours: ours.milliseconds,
        same_batch: same.milliseconds,
        best_batch: best.milliseconds,
        image_count: examples.len(),
        flips,
        largest_gap,
    })
}

/// Images that are given different classes, and the largest difference of two probabilities.
fn compare(ours: &[f32], theirs: &[f32], image_count: usize) -> Result<(usize, f64), Status> {
    let label_count = ours.len() / image_count.max(1);
    if label_count == 0 || ours.len() != theirs.len() || ours.len() != label_count * image_count {
        return Err(Status::aborted(format!("{} logits here and {} there", ours.len(), theirs.len())));
    }
    let read = |logits: &[f32]| Logits::new(logits.to_vec()).map_err(|error| Status::aborted(error.to_string()));
    let (mut flips, mut largest_gap) = (0, 0.0f64);
    for (a, b) in ours.chunks(label_count).zip(theirs.chunks(label_count)) {
        let (a, b) = (read(a)?.soft_labels(Temperature::ONE), read(b)?.soft_labels(Temperature::ONE));
        flips += usize::from(a.predicted_label() != b.predicted_label());
        for label in (0..label_count as u32).map(Label) {
            largest_gap = largest_gap.max((a.probability(label) - b.probability(label)).abs());
        }
    }
    Ok((flips, largest_gap))
}

/// The teacher service on a port of its own, with the weights of the system that runs: the orchestrator, which
/// stands before it there, has no call that classifies and does nothing else.
struct Service {
    client: TeacherServiceClient<Channel>,
    teacher: String,
    /// Images of its batches.
    batch_size: usize,
    _stop: DropGuard,
}

impl Service {
    async fn start(artifacts: &Path, teacher: &str) -> Result<Self, Status> {
        let failed = |error: &dyn std::fmt::Display| Status::aborted(format!("the teacher service: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| failed(&error))?;
        let listen = listener.local_addr().map_err(|error| failed(&error))?;
        let compute = ComputeConfig::default();
        let batch_size = usize::from(compute.teacher_batch_size);
        let config = Config { listen, compute, ..Config::for_testing(artifacts.to_owned()) };
        let stop = CancellationToken::new();
        tokio::spawn(teacher::run(config, listener, stop.clone()));
        let channel =
            runtime::channel::connect("teacher", &format!("http://{listen}")).map_err(|error| failed(&error))?;
        let client = TeacherServiceClient::new(channel).max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { client, teacher: teacher.to_owned(), batch_size, _stop: stop.drop_guard() })
    }

    async fn classify(&mut self, examples: &[catalog::Example]) -> Result<Classified, Status> {
        let images = examples.iter().filter_map(|example| example.image.as_ref());
        let first = images.clone().next().cloned().unwrap_or_default();
        let pixels: Vec<u8> = images.flat_map(|image| image.pixels.iter().copied()).collect();
        let types::Image { channels, height, width, .. } = first;
        let images = Some(types::ImageBatch { channels, height, width, pixels });
        let request = ClassifyImagesRequest { teacher: self.teacher.clone(), images };
        let start = Instant::now();
        let answer = self.client.classify_images(request).await?.into_inner();
        Ok(Classified { milliseconds: start.elapsed().as_secs_f64() * 1e3, logits: answer.logits })
    }
}

/// The images that the teacher was judged on, a round's worth at a time.
struct Pages<'a> {
    api: &'a Api,
    /// Of the next page; `None` after the last.
    request: Option<catalog::ListExamplesRequest>,
}

impl<'a> Pages<'a> {
    fn of(api: &'a Api, models: &Models) -> Self {
        let recipe = models.teacher.recipe.clone().unwrap_or_default();
        let request = catalog::ListExamplesRequest {
            parent: recipe.dataset,
            split: recipe.evaluation_split,
            page_size: IMAGES_A_ROUND,
            ..Default::default()
        };
        Self { api, request: Some(request) }
    }

    async fn next(&mut self) -> Result<Option<Vec<catalog::Example>>, Status> {
        let Some(request) = self.request.take() else { return Ok(None) };
        let page = self.api.catalog.clone().list_examples(request.clone()).await?.into_inner();
        let page_token = page.next_page_token;
        self.request = (!page_token.is_empty()).then_some(catalog::ListExamplesRequest { page_token, ..request });
        Ok(Some(page.examples))
    }
}
