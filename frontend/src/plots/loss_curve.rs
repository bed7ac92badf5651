//! A loss curve that grows while a model trains.

use domain::LossPoint;
use yew::prelude::*;

use super::measure::Size;
use crate::components::{format, shared::Shared};

/// Drawn size; the style sheet stretches it.
const SIZE: Size = Size { width: 300.0, height: 64.0 };

/// Where the curve runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// SVG `points`; empty below two points.
    pub points: String,
    /// Loss at the top.
    pub high: f64,
    /// Loss at the bottom.
    pub low: f64,
}

/// Steps run left to right up to `step_count`, so that the empty part shows what is left. The first
/// tenth of a training often starts far above the rest: the scale ends at the largest loss seen.
pub fn layout(points: &[LossPoint], step_count: u64, size: Size) -> Curve {
    let finite = || points.iter().filter(|point| point.loss.is_finite());
    let high = finite().map(|point| point.loss).fold(f64::NEG_INFINITY, f64::max);
    let low = finite().map(|point| point.loss).fold(f64::INFINITY, f64::min);
    if finite().count() < 2 {
        return Curve { points: String::new(), high: 0.0, low: 0.0 };
    }
    let last = finite().map(|point| point.step).max().unwrap_or(0).max(step_count).max(1) as f64;
    let span = if high > low { high - low } else { 1.0 };
    let place = |point: &LossPoint| {
        let x = point.step as f64 / last * size.width;
        let y = (high - point.loss) / span * size.height;
        format!("{x:.1},{y:.1}")
    };
    Curve { points: finite().map(place).collect::<Vec<_>>().join(" "), high, low }
}

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct LossCurveProps {
    /// Oldest first.
    pub points: Shared<Vec<LossPoint>>,
    /// Steps to do in all.
    pub step_count: u64,
    /// What is trained.
    pub title: AttrValue,
    /// Of the loss.
    pub unit: AttrValue,
}

/// The curve with its two ends named.
#[component]
pub fn LossCurve(props: &LossCurveProps) -> Html {
    let curve = layout(&props.points, props.step_count, SIZE);
    let last = props.points.last().map(|point| format::sensible(point.loss));
    let spoken = match &last {
        Some(loss) => format!("{}: loss {loss} {} after {} points", props.title, props.unit, props.points.len()),
        None => format!("{}: no loss yet", props.title),
    };
    html! {
        <figure class="loss" role="img" aria-label={spoken}>
            <figcaption class="quiet tabular">
                <span>{ format!("Loss, {}", props.unit) }</span>
                <b>{ last.unwrap_or_default() }</b>
            </figcaption>
            <svg viewBox={format!("0 -2 {} {}", SIZE.width, SIZE.height + 4.0)} preserveAspectRatio="none"
                aria-hidden="true">
                <line class="loss-floor" x1="0" y1={SIZE.height.to_string()} x2={SIZE.width.to_string()}
                    y2={SIZE.height.to_string()} />
                <polyline points={curve.points.clone()} />
            </svg>
            if !curve.points.is_empty() {
                <div class="loss-ends quiet tabular" aria-hidden="true">
                    <span>{ format::sensible(curve.high) }</span><span>{ format::sensible(curve.low) }</span>
                </div>
            }
        </figure>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_starts_high_and_leaves_room_for_the_steps_to_come() {
        let points: Vec<LossPoint> = [(0, 2.0), (50, 1.0)].map(|(step, loss)| LossPoint { step, loss }).into();
        let curve = layout(&points, 100, Size { width: 300.0, height: 60.0 });
        assert_eq!(curve.points, "0.0,0.0 150.0,60.0");
    }

    #[test]
    fn one_point_or_a_broken_one_is_no_curve() {
        let broken = [LossPoint { step: 0, loss: f64::NAN }, LossPoint { step: 1, loss: 1.0 }];
        assert!(layout(&broken, 10, SIZE).points.is_empty());
    }

    #[test]
    fn a_flat_curve_stays_within_its_box() {
        let flat = [LossPoint { step: 0, loss: 1.0 }, LossPoint { step: 10, loss: 1.0 }];
        assert_eq!(layout(&flat, 10, Size { width: 10.0, height: 10.0 }).points, "0.0,0.0 10.0,0.0");
    }
}
