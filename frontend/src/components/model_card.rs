//! What a model is: its network, what it learned from, how well it does, how it answers.

use std::rc::Rc;

use domain::{Architecture, Autoencoder, Dataset, Teacher, TeacherSource};
use yew::prelude::*;

use super::format::{count, plain, sensible};

type Facts = Vec<(&'static str, String)>;

/// A teacher to describe.
#[derive(Properties, PartialEq)]
pub struct TeacherCardProps {
    /// Whose card.
    pub teacher: Rc<Teacher>,
    /// What it learned from and is judged on.
    #[prop_or_default]
    pub dataset: Option<Rc<Dataset>>,
}

/// All that determines a teacher, and what came of it.
#[component]
pub fn TeacherCard(props: &TeacherCardProps) -> Html {
    list(teacher_facts(&props.teacher, props.dataset.as_deref()))
}

/// An autoencoder to describe.
#[derive(Properties, PartialEq)]
pub struct AutoencoderCardProps {
    /// Whose card.
    pub autoencoder: Rc<Autoencoder>,
    /// What it learned from.
    #[prop_or_default]
    pub dataset: Option<Rc<Dataset>>,
}

/// All that determines an autoencoder, and what came of it.
#[component]
pub fn AutoencoderCard(props: &AutoencoderCardProps) -> Html {
    list(autoencoder_facts(&props.autoencoder, props.dataset.as_deref()))
}

fn list(facts: Facts) -> Html {
    html! {
        <dl class="facts tabular">
            for (term, value) in facts {
                <div><dt>{ term }</dt><dd>{ value }</dd></div>
            }
        </dl>
    }
}

fn teacher_facts(teacher: &Teacher, dataset: Option<&Dataset>) -> Facts {
    let recipe = &teacher.recipe;
    let network = match teacher.architecture {
        Architecture::Resnet50 => "ResNet-50 for small gray images",
        Architecture::SmallCnn => "two convolutions and a dense layer",
    };
    let mut facts = vec![("network", network.to_owned())];
    if let TeacherSource::FineTune(base) = &recipe.source {
        facts.push(("begun from", base.to_string()));
    }
    facts.push(("learned from", split(dataset, &recipe.training_split)));
    facts.push(("judged on", split(dataset, &recipe.evaluation_split)));
    if let Some(accuracy) = teacher.accuracy {
        let images = count(teacher.evaluated_example_count);
        facts.push(("right answers", format!("{:.2} % of {images} images", accuracy * 100.0)));
    }
    let schedule = format!(
        "{} of {} images, rate {}, weight decay {}",
        epochs(recipe.epoch_count),
        count(u64::from(recipe.batch_size)),
        plain(recipe.learning_rate),
        plain(recipe.weight_decay)
    );
    facts.push(("training", schedule));
    facts.push(("seed", recipe.seed.to_string()));
    ending(&mut facts, &teacher.engine, &teacher.digest);
    facts
}

fn autoencoder_facts(autoencoder: &Autoencoder, dataset: Option<&Dataset>) -> Facts {
    let recipe = &autoencoder.recipe;
    let mut facts = vec![
        ("latent dimensions", recipe.latent_dimension_count.to_string()),
        ("hidden units", count(u64::from(recipe.hidden_size))),
        ("learned from", split(dataset, &recipe.training_split)),
    ];
    if let Some(loss) = autoencoder.loss {
        facts.push(("loss", format!("{} nats an image", sensible(loss))));
    }
    let schedule = format!(
        "{} of {} images, rate {}, \u{3b2} {}",
        epochs(recipe.epoch_count),
        count(u64::from(recipe.batch_size)),
        plain(recipe.learning_rate),
        plain(recipe.beta)
    );
    facts.push(("training", schedule));
    facts.push(("seed", recipe.seed.to_string()));
    ending(&mut facts, "", &autoencoder.digest);
    facts
}

/// Engine and weights, once there are any.
fn ending(facts: &mut Facts, engine: &str, digest: &str) {
    if !engine.is_empty() {
        facts.push(("answers by", engine.to_owned()));
    }
    if !digest.is_empty() {
        facts.push(("weights", digest.chars().take(12).collect()));
    }
}

fn epochs(epoch_count: u32) -> String {
    if epoch_count == 1 { "1 epoch in batches".to_owned() } else { format!("{epoch_count} epochs in batches") }
}

/// `MNIST t10k, 10,000 images`.
fn split(dataset: Option<&Dataset>, id: &str) -> String {
    let Some(dataset) = dataset else { return id.to_owned() };
    let size = dataset.splits.iter().find(|split| split.id == id).map(|split| split.example_count);
    match size {
        Some(size) => format!("{} {id}, {} images", dataset.display_name, count(size)),
        None => format!("{} {id}", dataset.display_name),
    }
}

/// `97.55 %` for the chip in the header; a little more exact than elsewhere, since teachers differ there.
pub fn accuracy(teacher: &Teacher) -> Option<String> {
    teacher.accuracy.map(|accuracy| format!("{:.2} %", accuracy * 100.0))
}

/// How many answers were wrong, as the header tells it: `60,000 evaluated · 1,470 wrong`.
pub fn evaluation(total: u64, wrong: u64) -> String {
    format!("{} evaluated \u{b7} {} wrong", count(total), count(wrong))
}

/// How far a training is, for a chip: `43 %`, or a word where there is no number yet.
pub fn short_progress(fraction: Option<f64>, word: &str) -> String {
    fraction.map_or_else(|| word.to_owned(), |fraction| format!("{word} {:.0} %", fraction * 100.0))
}

#[cfg(test)]
mod tests {
    use domain::ModelState;

    use super::*;
    use crate::state::testing;

    #[test]
    fn a_card_says_what_the_teacher_learned_from_and_is_judged_on() {
        let facts = teacher_facts(&testing::teacher("a", ModelState::Ready), Some(&testing::dataset()));
        let value = |term: &str| facts.iter().find(|(t, _)| *t == term).map(|(_, value)| value.as_str());
        assert_eq!(value("judged on"), Some("MNIST train, 60,000 images"));
        assert_eq!(value("right answers"), Some("97.00 % of 60,000 images"));
        assert_eq!(value("training"), Some("1 epoch in batches of 1 images, rate 0.1, weight decay 0"));
    }

    #[test]
    fn a_model_without_weights_claims_nothing_about_them() {
        let mut untrained = testing::autoencoder("v", ModelState::Training);
        untrained.digest.clear();
        let facts = autoencoder_facts(&untrained, None);
        assert!(facts.iter().all(|(term, _)| !["weights", "loss"].contains(term)));
    }
}
