//! Times of an explanation through the public API, in alternation with the bare calls it is made of and, where
//! one is named, with a peer that explains the same images by LIME.

use std::{path::PathBuf, time::Instant};

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

use super::{
    forward,
    numbers::{Spread, median},
    peer::Peer,
};

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
    /// Command of a program to be compared with: "python integration-tests/peers/torch_peer.py" explains the same
    /// images by LIME and classifies them with PyTorch, on the same weights in f32
    #[arg(long, requires = "artifacts")]
    peer: Option<String>,
    /// The running system's folder of artifacts (`artifacts` in its data folder), where a peer finds the weights
    #[arg(long, env = "DEEPER_ARTIFACTS")]
    artifacts: Option<PathBuf>,
    /// Rounds of 1,000 images in which the teacher's forward pass is compared with a peer's
    #[arg(long, default_value_t = 10)]
    forward_rounds: usize,
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
    let mut peer = start_peer(models, options).await?;
    measure_round(api, models, warm_up, 0).await?;
    explained_by(&mut peer, warm_up).await?;
    println!("{:>10} {:>10} {:>10} {:>10} {:>10}   (ms)", "first", "whole", "repeated", "bare calls", "peer");
    let mut rounds = Vec::new();
    for (index, example) in examples.iter().enumerate() {
        let mut round;
        if index % 4 < 2 {
            let peer_time = explained_by(&mut peer, example).await?;
            round = measure_round(api, models, example, index + 1).await?;
            round.peer = peer_time;
        } else {
            round = measure_round(api, models, example, index + 1).await?;
            round.peer = explained_by(&mut peer, example).await?;
        }
        let Round { first_student, whole, repeated, bare, peer } = round;
        println!("{first_student:>10.1} {whole:>10.1} {repeated:>10.1} {bare:>10.1} {peer:>10.1}   {example}");
        rounds.push(round);
    }
    let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value));
    println!("whole, in ms: {}; bare calls: {}", spread(|it| it.whole), spread(|it| it.bare));
    let middle = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
    let mut bars = vec![
        Bar::at_most("first student, share of the whole time", middle(|it| it.first_student / it.whole), 0.25),
        Bar::at_most(
            "what the pipeline adds to bare decoding and labelling",
            middle(|it| it.whole / it.bare - 1.0),
            0.20,
        ),
        Bar::at_most("repeated request, in ms", middle(|it| it.repeated), 50.0),
    ];
    if let Some((peer, artifacts)) = &mut peer {
        let ratio = spread(|it| it.peer / it.whole);
        println!("LIME, in ms: {}; times as fast as LIME: {ratio}", spread(|it| it.peer));
        bars.push(Bar::at_least("whole explanation, times as fast as LIME", ratio.median, 2.0));
        bars.extend(forward::run(api, models, peer, artifacts, options.forward_rounds).await?);
    }
    Ok(bars)
}

/// The peer, if one is named, with the place of the weights that it shares with the system.
async fn start_peer(models: &Models, options: &Options) -> Result<Option<(Peer, PathBuf)>, Status> {
    let (Some(command), Some(artifacts)) = (&options.peer, &options.artifacts) else { return Ok(None) };
    let peer = Peer::start(command, artifacts, &models.teacher.name).await?;
    if peer.digest != models.teacher.digest {
        let why = format!("{} in {} has other weights than the system's", models.teacher.name, artifacts.display());
        return Err(Status::failed_precondition(why));
    }
    Ok(Some((peer, artifacts.clone())))
}

/// Milliseconds that the peer takes; without one it is not a number.
async fn explained_by(peer: &mut Option<(Peer, PathBuf)>, example: &str) -> Result<f64, Status> {
    match peer {
        Some((peer, _)) => peer.explain(example).await,
        None => Ok(f64::NAN),
    }
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
