//! Fidelity and stability over misclassified images, and the controls that must fail.

use std::io::Write;

use clap::Args;
use integration_tests::{
    Api,
    trust::{Bar, Limits, Models, Trust, compare, drawn, measure, misclassified},
};
use proto::raw::deeper::types::v1 as types;
use tonic::Status;

/// What defaults are tuned on; reports are made on images that are not among these.
const TUNING_SEED: u64 = 0;
/// So many of them are never reported on, however few images a report has.
const TUNING_COUNT: usize = 100;

/// Fidelity, stability and controls over misclassified images
#[derive(Args)]
pub(super) struct Options {
    /// Which images: 0 for tuning, any other for a report on images that tuning has not seen
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of images
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Images of the hard-label control
    #[arg(long, default_value_t = 30)]
    control_count: usize,
    /// Own weights of the image to compare, as shares of all neighbors: `0.1,0.2`; with --seed 0 alone
    #[arg(long, value_delimiter = ',')]
    own_weight: Vec<f64>,
    /// Penalties λ to compare, with every own weight: `1e-3,3e-3`; with --seed 0 alone
    #[arg(long, value_delimiter = ',')]
    l2: Vec<f64>,
}

pub(super) async fn run(api: &Api, models: &Models, options: &Options) -> Result<Vec<Bar>, Status> {
    if options.seed != TUNING_SEED && !options.settings().is_empty() {
        let why = format!("settings are compared on the images of --seed {TUNING_SEED}; others are kept for reports");
        return Err(Status::invalid_argument(why));
    }
    let all = misclassified(api, &models.teacher).await?;
    let is_tuning = options.seed == TUNING_SEED;
    let examples = if is_tuning {
        drawn(all.clone(), TUNING_SEED, options.count)
    } else {
        let tuned_on = drawn(all.clone(), TUNING_SEED, options.count.max(TUNING_COUNT));
        let unseen = all.iter().filter(|name| !tuned_on.contains(name)).cloned().collect();
        drawn(unseen, options.seed, options.count)
    };
    println!("{} of {} misclassified images, seed {}", examples.len(), all.len(), options.seed);
    let count = examples.len();
    let told = |done| {
        print!("\r{done} of {count} images");
        std::io::stdout().flush().ok();
    };
    let settings = options.settings();
    if !settings.is_empty() {
        let measured = compare(api, models, &examples, &settings, told).await?;
        tell(&settings, &measured);
        return Ok(Vec::new());
    }
    let trust = measure(api, models, &examples, options.control_count, told).await?;
    // Whoever tunes looks at what failed; the images of a report stay unseen.
    let told = if is_tuning { names(&trust.unmatched) } else { format!("{} students", trust.unmatched.len()) };
    println!("\nnot matched at the image with its own weight: {told}");
    Ok(trust.bars(&Limits::DEFAULT_MODELS))
}

impl Options {
    /// Students to compare: every own weight with every penalty. None when neither was named.
    fn settings(&self) -> Vec<types::StudentSpec> {
        if self.own_weight.is_empty() && self.l2.is_empty() {
            return Vec::new();
        }
        let or_default = |values: &[f64]| match values {
            [] => vec![None],
            values => values.iter().copied().map(Some).collect(),
        };
        let penalties = or_default(&self.l2);
        let with = |instance_weight: Option<f64>| {
            penalties.iter().map(move |&l2| types::StudentSpec { instance_weight, l2, ..Default::default() })
        };
        or_default(&self.own_weight).into_iter().flat_map(with).collect()
    }
}

/// One line a setting. Tuning holds nothing to bars: its winner becomes a default, and that is measured.
fn tell(settings: &[types::StudentSpec], measured: &[Trust]) {
    println!(
        "\n{:>10} {:>8} {:>9} {:>9} {:>8} {:>8} {:>8} {:>7}",
        "own weight", "l2", "agreement", "majority", "KL", "held out", "fitted", "cosine"
    );
    let shown = |value: Option<f64>| value.map_or_else(|| "default".to_owned(), |value| value.to_string());
    for (spec, trust) in settings.iter().zip(measured) {
        let (own_weight, l2) = (shown(spec.instance_weight), shown(spec.l2));
        let Trust { agreement, majority, kl, at_image_held_out, at_image_fitted, cosine, .. } = trust;
        println!(
            "{own_weight:>10} {l2:>8} {agreement:>9.4} {majority:>9.4} {kl:>8.5} {at_image_held_out:>8.3} \
             {at_image_fitted:>8.3} {cosine:>7.4}   not matched: {}",
            names(&trust.unmatched)
        );
    }
}

fn names(examples: &[String]) -> String {
    let ids: Vec<&str> = examples.iter().filter_map(|name| name.rsplit('/').next()).collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(" ") }
}
