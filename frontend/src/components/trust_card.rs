//! How far to trust the student: words first, then each number beside what a guess would get.

use domain::Fidelity;
use yew::prelude::*;

use super::{
    format::{self, percent, short_percent, small},
    trust_words::trust_words,
};

/// What to show.
#[derive(Properties, PartialEq)]
pub struct TrustCardProps {
    /// Measured on neighbors the student has not seen.
    pub fidelity: Fidelity,
}

/// The card.
#[component]
pub fn TrustCard(props: &TrustCardProps) -> Html {
    let fidelity = &props.fidelity;
    let words = trust_words(fidelity);
    let here = fidelity.instance_held_out;
    let fitted = fidelity.instance_fitted;
    let tested = format::count(fidelity.held_out_neighbor_count as u64);
    let method = if fidelity.cross_fitted { "each left out once" } else { "one fifth left out" };
    let number = |value: String, words: String, help: String| {
        html! {
            <div class="trust-number" title={help}>
                <b class="tabular">{ value }</b><span>{ words.replace(" %", "\u{a0}%") }</span>
            </div>
        }
    };
    html! {
        <section class={classes!("trust", words.tone.class())} aria-label="How far to trust this student">
            <p class="trust-words">
                <b>{ words.title }</b>{ " " }{ words.text }
            </p>
            <div class="trust-numbers">
                { number(percent(fidelity.top1_agreement),
                    format!("agrees; a guess {}", short_percent(fidelity.majority_baseline)),
                    format!("Share of {tested} neighbors ({method}) to which student and teacher give the same answer. \
                             The guess always names the most frequent answer.")) }
                { number(small(fidelity.mean_kl),
                    format!("KL; a constant {}", small(fidelity.constant_kl)),
                    format!("Kullback-Leibler divergence: how far the student\u{2019}s probabilities are from the \
                             teacher\u{2019}s, in nats; 0 is equal. The constant always gives the mean answer. \
                             R\u{b2} {:.2}.", fidelity.r_squared)) }
                { number(if here.agrees { "yes" } else { "no" }.to_owned(),
                    format!("agrees here, off by {}", points(here.probability_gap)),
                    format!("At this image, by a student that has not seen it. The one shown has seen it: {}, off \
                        by {}.",
                        if fitted.agrees { "same answer" } else { "another answer" }, points(fitted.probability_gap))) }
                { number(format!("{:.2}", fidelity.stability.predicted_cosine()),
                    "same map, other draw".to_owned(),
                    "Cosine between this map and the one from other neighbors, foretold from two halves of these; 1 \
                        is the same map.".to_owned()) }
            </div>
        </section>
    }
}

/// A gap in probability as percentage points.
fn points(gap: f64) -> String {
    match (gap * 100.0).round() {
        1.0 => "1 point".to_owned(),
        count => format!("{count} points"),
    }
}
