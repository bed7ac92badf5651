//! Fidelity and stability over misclassified images, and the controls that must fail.

use std::io::Write;

use clap::Args;
use integration_tests::{
    Api,
    trust::{Bar, Models, drawn, measure, misclassified},
};
use tonic::Status;

/// What defaults are tuned on; reports are made on images that are not among these.
const TUNING_SEED: u64 = 0;

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
}

pub(super) async fn run(api: &Api, models: &Models, options: &Options) -> Result<Vec<Bar>, Status> {
    let all = misclassified(api, &models.teacher).await?;
    let tuned_on = drawn(all.clone(), TUNING_SEED, options.count);
    let unseen: Vec<String> = all.iter().filter(|name| !tuned_on.contains(name)).cloned().collect();
    let examples = if options.seed == TUNING_SEED { tuned_on } else { drawn(unseen, options.seed, options.count) };
    println!("{} of {} misclassified images, seed {}", examples.len(), all.len(), options.seed);
    let count = examples.len();
    let trust = measure(api, models, &examples, options.control_count, |done| {
        print!("\r{done} of {count} images");
        std::io::stdout().flush().ok();
    })
    .await?;
    Ok(vec![
        Bar::at_least("held-out agreement, mean", trust.agreement, 0.94),
        Bar::at_least("held-out agreement above the majority baseline", trust.agreement - trust.majority, 0.20),
        Bar::at_most("KL(teacher || student) at T = 2, mean, in nats", trust.kl, 0.008),
        Bar::at_least("agreement at the image without its own weight", trust.at_image_held_out, 0.88),
        Bar::at_least("agreement at the image with its own weight", trust.at_image_fitted, 0.99),
        Bar::at_least("cosine of contrast maps from two seeds, mean", trust.cosine, 0.95),
        Bar::at_most("control: at the image, plain and weightless", trust.plain_at_image, 0.70),
        Bar::at_most("control: agreement of hard labels with SGD", trust.hard_label_agreement, 0.90),
    ])
}
