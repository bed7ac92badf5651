//! What the fidelity numbers allow one to believe, in words. The verdict is the domain's; here it
//! gets a sentence, the reasons that hold, and what to change.

use domain::{Fidelity, Verdict};

use super::notice::Tone;

/// Title and text of the trust card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustWords {
    /// Color of the card.
    pub tone: Tone,
    /// In bold.
    pub title: &'static str,
    /// One to three sentences.
    pub text: String,
}

/// Reads a fidelity. The first words name what to do with the map.
pub fn trust_words(fidelity: &Fidelity) -> TrustWords {
    match fidelity.verdict() {
        Verdict::Trust => TrustWords {
            tone: Tone::Good,
            title: "Trust the strong pixels.",
            text: "Nearby and at this image itself the student answers like the teacher, and another draw of \
                   neighbors shows the same map."
                .to_owned(),
        },
        Verdict::Caution => {
            TrustWords { tone: Tone::Warn, title: "Read it with care.", text: join(&weak_points(fidelity)) }
        }
        Verdict::Distrust => TrustWords {
            tone: Tone::Bad,
            title: "Don\u{2019}t believe this map.",
            text: format!("{} Try a smaller radius or more neighbors.", join(&weak_points(fidelity))),
        },
        Verdict::OneClass => TrustWords {
            tone: Tone::Warn,
            title: "Nothing nearby to tell apart.",
            text: "The teacher gives every neighbor the same answer, so the map only shows what makes it surer. \
                   Widen the radius or a band."
                .to_owned(),
        },
    }
}

/// The measures that hold the verdict back, worst first.
fn weak_points(fidelity: &Fidelity) -> Vec<&'static str> {
    let stability = fidelity.stability.predicted_cosine();
    let mut points = Vec::new();
    if fidelity.top1_agreement < Fidelity::USABLE_AGREEMENT {
        points.push("On fresh neighbors the student often answers differently from the teacher.");
    } else if fidelity.top1_agreement < Fidelity::TRUSTED_AGREEMENT {
        points.push("On fresh neighbors the student sometimes answers differently from the teacher.");
    }
    if fidelity.gain() < Fidelity::TRUSTED_GAIN {
        points.push("Always guessing the most frequent answer would be right nearly as often.");
    }
    if fidelity.kl_share() >= 1.0 {
        points.push("Its probabilities are no better than always giving the same ones.");
    } else if fidelity.kl_share() > Fidelity::TRUSTED_KL_SHARE {
        points.push("Its probabilities are not close to the teacher\u{2019}s.");
    }
    if !fidelity.instance_held_out.agrees {
        points.push("At this image itself it would answer differently, had it not seen it.");
    }
    if stability < Fidelity::USABLE_STABILITY {
        points.push("Another draw of neighbors would show another map.");
    } else if stability < Fidelity::TRUSTED_STABILITY {
        points.push("Another draw of neighbors would change the weaker pixels.");
    }
    points
}

fn join(points: &[&str]) -> String {
    points.join(" ")
}

#[cfg(test)]
mod tests {
    use domain::{InstanceFit, Stability};

    use super::*;

    fn good() -> Fidelity {
        let fit = InstanceFit { agrees: true, probability_gap: 0.01 };
        Fidelity {
            held_out_neighbor_count: 1_000,
            cross_fitted: true,
            top1_agreement: 0.95,
            majority_baseline: 0.68,
            mean_kl: 0.007,
            constant_kl: 0.18,
            r_squared: 0.95,
            instance_held_out: fit,
            instance_fitted: fit,
            stability: Stability { split_half_cosine: 0.93 },
            label_counts: vec![680, 320],
        }
    }

    #[test]
    fn the_first_words_say_what_to_do_with_the_map() {
        assert_eq!(trust_words(&good()).tone, Tone::Good);
        let alone = Fidelity { label_counts: vec![1_000, 0], ..good() };
        assert_eq!(trust_words(&alone).title, "Nothing nearby to tell apart.");
    }

    #[test]
    fn anything_short_of_trust_names_its_reason() {
        let wrong_here = InstanceFit { agrees: false, probability_gap: 0.4 };
        let cases = [
            (Fidelity { instance_held_out: wrong_here, ..good() }, "At this image"),
            (Fidelity { top1_agreement: 0.85, ..good() }, "sometimes"),
            (Fidelity { top1_agreement: 0.6, ..good() }, "often"),
            (Fidelity { majority_baseline: 0.94, ..good() }, "nearly as often"),
            (Fidelity { mean_kl: 0.2, ..good() }, "no better"),
            (Fidelity { mean_kl: 0.04, ..good() }, "not close"),
            (Fidelity { stability: Stability { split_half_cosine: 0.7 }, ..good() }, "weaker pixels"),
            (Fidelity { stability: Stability { split_half_cosine: 0.2 }, ..good() }, "another map"),
        ];
        for (fidelity, expected) in cases {
            let words = trust_words(&fidelity);
            assert_ne!(words.tone, Tone::Good);
            assert!(words.text.contains(expected), "{:?} lacks {expected}", words.text);
        }
    }
}
