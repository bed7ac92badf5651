//! A training in words and numbers. Pure.

use domain::{Progress, TrainingPhase};

use super::ModelKind;
use crate::components::format::{count, duration, percent, sensible};

/// What is going on, as the beginning of a line that ends with the model's name.
pub fn title(kind: ModelKind, phase: TrainingPhase) -> &'static str {
    match (phase, kind) {
        (TrainingPhase::Queued, ModelKind::Teacher) => "Teacher in the queue:",
        (TrainingPhase::Queued, ModelKind::Autoencoder) => "Autoencoder in the queue:",
        (TrainingPhase::Training, ModelKind::Teacher) => "Training the teacher",
        (TrainingPhase::Training, ModelKind::Autoencoder) => "Training the autoencoder",
        (TrainingPhase::Evaluating, _) => "Looking for errors of",
        (TrainingPhase::Finished, _) => "Finished:",
    }
}

/// For style sheets and tests.
pub fn phase_id(phase: TrainingPhase) -> &'static str {
    match phase {
        TrainingPhase::Queued => "queued",
        TrainingPhase::Training => "training",
        TrainingPhase::Evaluating => "evaluating",
        TrainingPhase::Finished => "finished",
    }
}

/// How far it is.
pub fn steps(progress: &Progress) -> String {
    let (step, all) = (count(progress.step), count(progress.step_count));
    match progress.phase {
        TrainingPhase::Queued => "Waits for another training to end".to_owned(),
        TrainingPhase::Training if progress.step_count == 0 => "Reading the images".to_owned(),
        TrainingPhase::Training => {
            let epoch = (progress.epoch + 1).min(progress.epoch_count.max(1));
            format!("Epoch {epoch} of {}, step {step} of {all}", progress.epoch_count.max(1))
        }
        TrainingPhase::Evaluating => format!("{step} of {all} images classified"),
        TrainingPhase::Finished => "Finished".to_owned(),
    }
}

/// Numbers beside the curve; only those that are known.
pub fn facts(kind: ModelKind, progress: &Progress) -> Vec<(&'static str, String)> {
    let begun = progress.step > 0;
    let moving = matches!(progress.phase, TrainingPhase::Training | TrainingPhase::Evaluating);
    if !begun || !moving {
        return Vec::new();
    }
    let mut facts = Vec::new();
    if kind == ModelKind::Teacher {
        let term = if progress.phase == TrainingPhase::Evaluating { "right so far" } else { "right in this epoch" };
        facts.push((term, percent(progress.accuracy)));
    }
    if progress.phase == TrainingPhase::Training {
        facts.push(("loss", sensible(progress.loss)));
    }
    if progress.images_per_second > 0.0 {
        facts.push(("images a second", count(progress.images_per_second.round() as u64)));
    }
    if progress.remaining_seconds > 0.0 {
        facts.push(("left", duration(progress.remaining_seconds)));
    }
    facts
}

/// Why there are no weights, ending with what to do.
pub fn failure(reason: &str) -> String {
    let reason = reason.trim().trim_end_matches('.');
    let mut letters = reason.chars();
    match letters.next() {
        Some(first) => format!("{}{}. Starting again begins anew.", first.to_uppercase(), letters.as_str()),
        None => "Its training did not end well. Starting again begins anew.".to_owned(),
    }
}

/// As [`failure`], for somebody who cannot start it again.
pub fn failure_of_another(reason: &str, creator: &str) -> String {
    failure(reason).replace("Starting again begins anew.", &format!("{creator} can start it again."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(phase: TrainingPhase) -> Progress {
        Progress {
            phase,
            epoch: 1,
            epoch_count: 3,
            step: 140,
            step_count: 300,
            loss: 0.1234,
            accuracy: 0.9512,
            images_per_second: 219.4,
            remaining_seconds: 73.0,
            loss_curve: Vec::new(),
        }
    }

    #[test]
    fn a_training_is_told_with_its_unit_and_what_is_left() {
        let training = progress(TrainingPhase::Training);
        assert_eq!(steps(&training), "Epoch 2 of 3, step 140 of 300");
        let expected =
            [("right in this epoch", "95.1 %"), ("loss", "0.12"), ("images a second", "219"), ("left", "1 min 13 s")];
        let told = facts(ModelKind::Teacher, &training);
        assert_eq!(told, expected.map(|(term, value)| (term, value.to_owned())));
    }

    #[test]
    fn an_autoencoder_has_no_accuracy_and_a_waiting_model_no_numbers() {
        let told = facts(ModelKind::Autoencoder, &progress(TrainingPhase::Training));
        assert!(told.iter().all(|(term, _)| !term.contains("right")));
        assert!(facts(ModelKind::Teacher, &progress(TrainingPhase::Queued)).is_empty());
    }

    #[test]
    fn the_last_epoch_is_not_counted_twice() {
        let done = Progress { epoch: 3, ..progress(TrainingPhase::Training) };
        assert!(steps(&done).starts_with("Epoch 3 of 3"));
    }

    #[test]
    fn a_failure_always_says_what_to_do() {
        assert_eq!(failure("the training was cancelled"), "The training was cancelled. Starting again begins anew.");
        assert_eq!(failure(""), "Its training did not end well. Starting again begins anew.");
        assert_eq!(failure_of_another("it diverged", "ben"), "It diverged. ben can start it again.");
    }
}
