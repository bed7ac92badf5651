//! Times of an explanation through the public API, in alternation with the bare calls it is made of.

use std::time::Instant;

use clap::Args;
use integration_tests::{
    Api,
    trust::{Bar, Models, drawn, forget, fresh_id, misclassified},
};
use proto::raw::deeper::{
    explanation::v1::{self as raw, instance::Source},
    types::v1 as types,
};
use tonic::Status;

use super::peer::Peer;

/// Neighbors of the explanation that is measured.
const NEIGHBOR_COUNT: usize = 1_000;
/// Points of one bare call: the most that are a multiple of the teacher's batch.
const POINTS_A_CALL: usize = 250;

/// Times of cold and repeated explanations
#[derive(Args)]
pub(super) struct Options {
    /// Explanations to measure, each of another image
    #[arg(long, default_value_t = 20)]
    count: usize,
    /// Which images
    #[arg(long, default_value_t = 2)]
    seed: u64,
    /// Command of a program that explains the same images, such as peers/lime_peer.py, to be compared with
    #[arg(long)]
    peer: Option<String>,
}

/// Milliseconds of one round.
#[derive(Default)]
struct Round {
    first_student: f64,
    whole: f64,
    repeated: f64,
    bare: f64,
    peer: f64,
}

pub(super) async fn run(api: &Api, models: &Models, options: &Options) -> Result<Vec<Bar>, Status> {
    let examples = drawn(misclassified(api, &models.teacher).await?, options.seed, options.count + 1);
    let Some((warm_up, examples)) = examples.split_first() else {
        return Err(Status::failed_precondition("the teacher makes no mistakes"));
    };
    let mut peer = match &options.peer {
        Some(command) => Some(Peer::start(command).await?),
        None => None,
    };
    measure_round(api, models, warm_up, 0).await?;
    println!("{:>10} {:>10} {:>10} {:>10} {:>10}   (ms)", "first", "whole", "repeated", "bare calls", "peer");
    let mut rounds = Vec::new();
    for (index, example) in examples.iter().enumerate() {
        let mut round = measure_round(api, models, example, index + 1).await?;
        if let Some(peer) = &mut peer {
            round.peer = peer.explain(example).await?;
        }
        let Round { first_student, whole, repeated, bare, peer } = round;
        println!("{first_student:>10.1} {whole:>10.1} {repeated:>10.1} {bare:>10.1} {peer:>10.1}   {example}");
        rounds.push(round);
    }
    let ratios = |ratio: fn(&Round) -> f64| median(rounds.iter().map(ratio));
    println!("median whole: {:.1} ms, bare calls: {:.1} ms", ratios(|it| it.whole), ratios(|it| it.bare));
    let mut bars = vec![
        Bar::at_most("first student, share of the whole time", ratios(|it| it.first_student / it.whole), 0.25),
        Bar::at_most(
            "what the pipeline adds to bare decoding and labelling",
            ratios(|it| it.whole / it.bare - 1.0),
            0.20,
        ),
        Bar::at_most("repeated request, in ms", ratios(|it| it.repeated), 50.0),
    ];
    if peer.is_some() {
        bars.push(Bar::at_least("times as fast as the peer", ratios(|it| it.peer / it.whole), 2.0));
    }
    Ok(bars)
}

/// A cold explanation, the same again, and the bare calls: every other round the other way around.
async fn measure_round(api: &Api, models: &Models, example: &str, index: usize) -> Result<Round, Status> {
    let mut round = Round::default();
    // Noise that no cache has seen: the clock is the seed.
    let seed = u64::from(std::time::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos());
    if index.is_multiple_of(2) {
        round.bare = bare_calls(api, models, example, seed).await?;
    }
    let (first_student, whole, explanation) = timed(api, models, example, seed).await?;
    let (_, repeated, again) = timed(api, models, example, seed).await?;
    if !index.is_multiple_of(2) {
        round.bare = bare_calls(api, models, example, seed).await?;
    }
    forget(api, &explanation).await?;
    forget(api, &again).await?;
    Ok(Round { first_student, whole, repeated, ..round })
}

fn request(models: &Models, example: &str, seed: u64) -> raw::CreateExplanationRequest {
    let count = NEIGHBOR_COUNT as u32;
    raw::CreateExplanationRequest {
        explanation_id: fresh_id(),
        teacher: models.teacher.name.clone(),
        autoencoder: models.autoencoder.clone(),
        instance: Some(instance(example)),
        neighborhood: Some(types::NeighborhoodSpec {
            neighbor_count: Some(count),
            seed: Some(seed),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn instance(example: &str) -> raw::Instance {
    raw::Instance { source: Some(Source::Example(example.to_owned())) }
}

/// Milliseconds to the first student with its fidelity, and to the end.
async fn timed(api: &Api, models: &Models, example: &str, seed: u64) -> Result<(f64, f64, raw::Explanation), Status> {
    let request = request(models, example, seed);
    let name = format!("explanations/{}", request.explanation_id);
    let mut client = api.explanations.clone();
    let start = Instant::now();
    client.create_explanation(request).await?;
    let mut watch = client.watch_explanation(raw::WatchExplanationRequest { name }).await?.into_inner();
    let mut first_student = None;
    let mut last = None;
    while let Some(snapshot) = watch.message().await? {
        if snapshot.student.is_some() {
            first_student.get_or_insert_with(|| start.elapsed().as_secs_f64() * 1e3);
        }
        last = Some(snapshot);
    }
    let whole = start.elapsed().as_secs_f64() * 1e3;
    match (first_student, last) {
        (Some(first), Some(last)) if last.state() == raw::State::Succeeded => Ok((first, whole, last)),
        _ => Err(Status::aborted("an explanation did not succeed")),
    }
}

/// Milliseconds to decode and label as many points of the same neighborhood, and nothing else.
async fn bare_calls(api: &Api, models: &Models, example: &str, seed: u64) -> Result<f64, Status> {
    let mut client = api.explanations.clone();
    let request = raw::EncodeInstanceRequest {
        teacher: models.teacher.name.clone(),
        autoencoder: models.autoencoder.clone(),
        instance: Some(instance(example)),
    };
    let encoded = client.encode_instance(request).await?.into_inner();
    let center = encoded.latent.unwrap_or_default().mean;
    let mut numbers = integration_tests::known::Numbers::new(seed);
    let mut point = || {
        let coordinates = center.iter().map(|z| z + numbers.unit() as f32 - 0.5).collect();
        types::LatentPoint { coordinates }
    };
    let points: Vec<types::LatentPoint> = (0..NEIGHBOR_COUNT).map(|_| point()).collect();
    let start = Instant::now();
    for chunk in points.chunks(POINTS_A_CALL) {
        let request = raw::DecodeLatentsRequest {
            teacher: models.teacher.name.clone(),
            autoencoder: models.autoencoder.clone(),
            latents: chunk.to_vec(),
            anchor: Some(instance(example)),
        };
        client.decode_latents(request).await?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count => (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0,
    }
}
