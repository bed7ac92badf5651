//! Thousands of neighbors as thin lines on a canvas, colored by the teacher's answer.

use domain::{Label, Neighbor};
use yew::NodeRef;

use super::layout::Axes;
use crate::plots::{canvas, colors};

/// What is drawn and in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The answer these lines share.
    pub label: Label,
    /// Positions in the list of neighbors.
    pub members: Vec<usize>,
    /// Opacity of one line, in `[0, 1]`.
    pub alpha: f64,
}

/// Lines by answer, the most frequent first, so that rare answers are drawn over it and stay visible.
pub fn bundles(neighbors: &[Neighbor], focus: Option<Label>) -> Vec<Bundle> {
    let mut bundles: Vec<Bundle> = Vec::new();
    for (index, neighbor) in neighbors.iter().enumerate() {
        let label = neighbor.soft_labels.predicted_label();
        match bundles.iter_mut().find(|bundle| bundle.label == label) {
            Some(bundle) => bundle.members.push(index),
            None => bundles.push(Bundle { label, members: vec![index], alpha: 0.0 }),
        }
    }
    bundles.sort_by_key(|bundle| (std::cmp::Reverse(bundle.members.len()), bundle.label));
    for bundle in &mut bundles {
        // Overlaps add up: many lines must each be faint for their density to show.
        let alpha = (5.0 / (bundle.members.len() as f64).sqrt()).clamp(0.05, 0.7);
        bundle.alpha = if focus.is_none_or(|focus| focus == bundle.label) { alpha } else { alpha * 0.12 };
    }
    bundles
}

/// Draws all of them; nothing while the canvas is not on the page.
pub fn draw(
    node: &NodeRef,
    axes: &Axes,
    neighbors: &[Neighbor],
    bundles: &[Bundle],
    (gold, predicted): (Option<Label>, Option<Label>),
) -> Option<()> {
    let context = canvas::scaled_context(node, axes.size.width, axes.size.height)?;
    context.set_line_width(1.0);
    let xs: Vec<f64> = (0..axes.dimension_count).map(|dimension| axes.x(dimension)).collect();
    for bundle in bundles {
        context.set_stroke_style_str(&colors::class_style(bundle.label, gold, predicted).0.hex());
        context.set_global_alpha(bundle.alpha);
        for &member in &bundle.members {
            context.begin_path();
            for (&x, &value) in xs.iter().zip(&neighbors[member].latent) {
                context.line_to(x, axes.y(value));
            }
            context.stroke();
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use domain::{SoftLabels, Temperature};

    use super::*;

    fn neighbor(label: usize) -> Neighbor {
        let mut probabilities = vec![0.0; 3];
        probabilities[label] = 1.0;
        let soft_labels = SoftLabels { probabilities, temperature: Temperature::ONE };
        Neighbor { index: 0, latent: vec![0.0], soft_labels, image: None }
    }

    #[test]
    fn rare_answers_are_drawn_last_and_strongest() {
        let mut neighbors: Vec<Neighbor> = (0..400).map(|_| neighbor(2)).collect();
        neighbors.insert(7, neighbor(1));
        let bundles = bundles(&neighbors, None);
        assert_eq!(bundles.iter().map(|bundle| bundle.label).collect::<Vec<_>>(), [Label(2), Label(1)]);
        assert_eq!(bundles[1].members, [7]);
        assert!(bundles[1].alpha > bundles[0].alpha);
    }

    #[test]
    fn a_focused_answer_leaves_the_others_faint() {
        let neighbors = [neighbor(0), neighbor(1)];
        let bundles = bundles(&neighbors, Some(Label(1)));
        let alpha = |label| bundles.iter().find(|bundle| bundle.label == Label(label)).unwrap().alpha;
        assert!(alpha(1) > 5.0 * alpha(0));
    }
}
