//! Small real models: the defaults can be trusted as far as the measures say, and the controls cannot.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "torch")]

use integration_tests::{
    small::{SmallSystem, mnist_folder},
    trust::{Bar, Limits, drawn, measure, misclassified},
};

/// Images of this short measurement; the long one is `cargo xtask measure trust`.
const IMAGE_COUNT: usize = 12;
/// The hard-label control takes the longest.
const CONTROL_COUNT: usize = 3;

#[tokio::test]
async fn defaults_can_be_trusted_and_the_controls_cannot() {
    let Some(mnist) = mnist_folder() else { return };
    let system = SmallSystem::start(&mnist, &[]).await;
    let models = system.models().await;
    let errors = misclassified(&system.api, &models.teacher).await.unwrap();
    let accuracy = models.teacher.accuracy.unwrap();
    assert!((0.90..0.99).contains(&accuracy), "accuracy {accuracy}");
    assert_eq!(errors.len(), ((1.0 - accuracy) * 60_000.0).round() as usize);

    let examples = drawn(errors, 1, IMAGE_COUNT);
    let trust = measure(&system.api, &models, &examples, CONTROL_COUNT, |_| {}).await.unwrap();
    let bars = trust.bars(&Limits::SMALL_MODELS);
    let table: Vec<String> = bars.iter().map(Bar::line).collect();
    eprintln!("{}", table.join("\n"));
    assert!(bars.iter().all(Bar::holds), "{trust:?}\n{}", table.join("\n"));
}
