//! Thousands of neighbors as thin lines on a canvas, colored by the teacher's answer.

use domain::{Label, Neighbor};
use yew::NodeRef;

use super::layout::Axes;
use crate::plots::{canvas, colors};

/// One line as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Position in the list of neighbors.
    pub index: usize,
    /// The teacher's answer.
    pub label: Label,
    /// Opacity, in `[0, 1]`.
    pub alpha: f64,
}

/// Lines in the order of their draw, which is random, so that where answers overlap the mixture shows
/// their shares. A focused answer comes last, over the others.
pub fn lines(neighbors: &[Neighbor], focus: Option<Label>) -> Vec<Line> {
    // Overlaps add up: many lines must each be faint for their density to show.
    let alpha_of = |count: usize| (3.2 / (count.max(1) as f64).sqrt()).clamp(0.04, 0.7);
    let labels: Vec<Label> = neighbors.iter().map(|neighbor| neighbor.soft_labels.predicted_label()).collect();
    let in_focus = |label: Label| focus.is_none_or(|focus| focus == label);
    let strong = alpha_of(labels.iter().filter(|&&label| in_focus(label)).count());
    let faint = 0.15 * alpha_of(labels.len());
    let line =
        |(index, &label): (usize, &Label)| Line { index, label, alpha: if in_focus(label) { strong } else { faint } };
    let mut lines: Vec<Line> = labels.iter().enumerate().map(line).collect();
    lines.sort_by_key(|line| in_focus(line.label));
    lines
}

/// Draws all of them; nothing while the canvas is not on the page.
pub fn draw(
    node: &NodeRef,
    axes: &Axes,
    neighbors: &[Neighbor],
    lines: &[Line],
    (gold, predicted): (Option<Label>, Option<Label>),
) -> Option<()> {
    let context = canvas::scaled_context(node, axes.size.width, axes.size.height)?;
    context.set_line_width(1.0);
    let xs: Vec<f64> = (0..axes.dimension_count).map(|dimension| axes.x(dimension)).collect();
    let mut last = None;
    for line in lines {
        if last != Some(line.label) {
            // Parsing a color costs more than a line: only when it changes.
            context.set_stroke_style_str(&colors::class_style(line.label, gold, predicted).0.hex());
            last = Some(line.label);
        }
        context.set_global_alpha(line.alpha);
        context.begin_path();
        for (&x, &value) in xs.iter().zip(&neighbors[line.index].latent) {
            context.line_to(x, axes.y(value));
        }
        context.stroke();
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
    fn lines_keep_the_order_of_their_draw_and_get_fainter_with_their_number() {
        let few: Vec<Neighbor> = (0..3).map(neighbor).collect();
        let many: Vec<Neighbor> = (0..1_000).map(|i| neighbor(i % 3)).collect();
        let drawn = lines(&few, None);
        assert_eq!(drawn.iter().map(|line| line.index).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(drawn[0].alpha > 2.0 * lines(&many, None)[0].alpha);
    }

    #[test]
    fn a_focused_answer_is_drawn_over_the_others_which_stay_faint() {
        let neighbors = [neighbor(1), neighbor(0)];
        let drawn = lines(&neighbors, Some(Label(1)));
        assert_eq!(drawn.iter().map(|line| line.label).collect::<Vec<_>>(), [Label(0), Label(1)]);
        assert!(drawn[1].alpha > 5.0 * drawn[0].alpha);
    }
}
