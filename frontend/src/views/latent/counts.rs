//! How many neighbors the teacher gives each answer. A press shows only those.

use std::{cmp::Reverse, rc::Rc};

use domain::{Label, Neighbor};
use yew::prelude::*;

use crate::{
    components::{
        chosen::label_name,
        format::{count, short_percent},
        mark::Role,
        shared::Shared,
    },
    plots::colors::class_style,
};

/// Answers named one by one; the rest are summed up.
const NAMED: usize = 3;

/// Answers by how many neighbors have them: the ● answer and the ◆ label first, then the most frequent.
fn tally(neighbors: &[Neighbor], gold: Option<Label>, predicted: Option<Label>) -> Vec<(Label, usize)> {
    let mut tally: Vec<(Label, usize)> = Vec::new();
    for neighbor in neighbors {
        let label = neighbor.soft_labels.predicted_label();
        match tally.iter_mut().find(|(seen, _)| *seen == label) {
            Some((_, count)) => *count += 1,
            None => tally.push((label, 1)),
        }
    }
    tally.sort_by_key(|&(label, count)| (Some(label) != predicted, Some(label) != gold, Reverse(count), label));
    tally
}

/// What to show.
#[derive(Properties, PartialEq)]
pub(super) struct CountsProps {
    pub(super) names: Rc<Vec<String>>,
    pub(super) neighbors: Shared<Vec<Neighbor>>,
    pub(super) gold: Option<Label>,
    pub(super) predicted: Option<Label>,
    pub(super) focus: Option<Label>,
    pub(super) on_focus: Callback<Option<Label>>,
}

/// Title of the grid and one button an answer.
#[component]
pub(super) fn Counts(props: &CountsProps) -> Html {
    let tally = use_memo((props.neighbors.clone(), props.gold, props.predicted), |(neighbors, gold, predicted)| {
        tally(neighbors, *gold, *predicted)
    });
    let all = props.neighbors.len().max(1) as f64;
    let others: usize = tally.iter().skip(NAMED).map(|(_, count)| count).sum();
    let one_answer =
        (tally.len() == 1 && props.neighbors.len() >= domain::NeighborhoodSpec::MIN_NEIGHBOR_COUNT).then(|| tally[0].0);
    let button = |&(label, number): &(Label, usize)| {
        let (color, stroke) = class_style(label, props.gold, props.predicted);
        let pressed = props.focus == Some(label);
        let on_focus = props.on_focus.clone();
        let name = label_name(&props.names, label);
        let role = Role::of(label, props.gold, props.predicted);
        let help = format!("{} neighbors are read as {name}; press to see only those", count(number as u64));
        html! {
            <button
                class={classes!("answer", "tabular", pressed.then_some("is-pressed"), role.class())}
                aria-pressed={pressed.to_string()} title={help}
                onclick={move |_| on_focus.emit((!pressed).then_some(label))}>
                <svg width="16" height="4" aria-hidden="true">
                    <line x1="0" x2="16" y1="2" y2="2" stroke={color.hex()} stroke-width="3"
                        stroke-dasharray={stroke.dash_array()} />
                </svg>
                { format!("{name}: {}", short_percent(number as f64 / all)) }
            </button>
        }
    };
    html! {
        <>
        <div class="section-head neighbors-head">
            <h3>{ "Neighbors" }</h3>
            <p class="help">
                if props.neighbors.is_empty() {
                    { "images like this one, made by the autoencoder and read by the teacher" }
                } else {
                    { "teacher says" }
                }
            </p>
            if !props.neighbors.is_empty() {
                <span class="section-end answers">
                    for item in tally.iter().take(NAMED) {
                        { button(item) }
                    }
                    if others > 0 {
                        <span class="quiet tabular">{ format!("other: {}", short_percent(others as f64 / all)) }</span>
                    }
                </span>
            }
        </div>
        if let Some(label) = one_answer {
            <p class="note warn">
                { format!("The teacher reads every neighbor as {}. Widen the radius or a band to find where its \
                    answer changes.", label_name(&props.names, label)) }
            </p>
        }
        </>
    }
}

#[cfg(test)]
mod tests {
    use domain::{SoftLabels, Temperature};

    use super::*;

    #[test]
    fn answers_are_counted_with_the_two_that_matter_first() {
        let neighbor = |label: usize| {
            let mut probabilities = vec![0.0; 3];
            probabilities[label] = 1.0;
            let soft_labels = SoftLabels { probabilities, temperature: Temperature::ONE };
            Neighbor { index: 0, latent: vec![], soft_labels, image: None }
        };
        let neighbors: Vec<Neighbor> = [1, 2, 1, 0, 1, 2].map(neighbor).into();
        assert_eq!(tally(&neighbors, None, None), [(Label(1), 3), (Label(2), 2), (Label(0), 1)]);
        let first = tally(&neighbors, Some(Label(0)), Some(Label(2)));
        assert_eq!(first, [(Label(2), 2), (Label(0), 1), (Label(1), 3)]);
    }
}
