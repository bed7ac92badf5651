//! L-BFGS: a quasi-Newton minimizer that remembers its last ten steps (Nocedal & Wright 2006, algorithm
//! 7.4) with a backtracking line search. It knows nothing of students; written here rather than taken from
//! `argmin` because a call must be able to stop it between iterations and its bytes must not change.

use std::collections::VecDeque;

use domain::Result;

/// Steps whose curvature is remembered.
const MEMORY: usize = 10;
/// Armijo's condition: the loss must fall by this share of what the slope promises.
const SUFFICIENT_DECREASE: f64 = 1e-4;
/// A step shorter than this share of the direction gains nothing that `f64` can show.
const SHORTEST_STEP: f64 = 1e-10;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most iterations.
    pub(crate) iteration_count: u32,
    /// Smallest share by which an iteration has to lower the loss.
    pub(crate) tolerance: f64,
}

/// A step s and the change y of the gradient along it.
struct Correction {
    step: Vec<f64>,
    change: Vec<f64>,
    /// sᵀ y, above 0.
    curvature: f64,
}

/// Moves `position` downhill. `evaluate` gives the loss at a position and writes its gradient; `observe` is
/// told the loss after each iteration and may stop the search by failing. Never ends above its start.
pub(crate) fn minimize(
    position: &mut Vec<f64>,
    limits: Limits,
    mut evaluate: impl FnMut(&[f64], &mut [f64]) -> f64,
    mut observe: impl FnMut(f64) -> Result<()>,
) -> Result<()> {
    let mut gradient = vec![0.0; position.len()];
    let mut loss = evaluate(position, &mut gradient);
    let mut memory = VecDeque::<Correction>::with_capacity(MEMORY);
    let mut next_gradient = vec![0.0; position.len()];
    for _ in 0..limits.iteration_count {
        let direction = descent_direction(&gradient, &memory);
        let slope = dot(&gradient, &direction);
        if slope >= 0.0 {
            break;
        }
        let mut length = if memory.is_empty() { (1.0 / dot(&gradient, &gradient).sqrt()).min(1.0) } else { 1.0 };
        let (next, next_loss) = loop {
            let next: Vec<f64> = position.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let next_loss = evaluate(&next, &mut next_gradient);
            if next_loss <= loss + SUFFICIENT_DECREASE * length * slope {
                break (next, next_loss);
            }
            length *= 0.5;
            if length < SHORTEST_STEP {
                return Ok(());
            }
        };
        remember(&mut memory, position, &next, &gradient, &next_gradient);
        let gain = loss - next_loss;
        *position = next;
        std::mem::swap(&mut gradient, &mut next_gradient);
        let small = gain < limits.tolerance * loss.abs();
        loss = next_loss;
        observe(loss)?;
        if small {
            break;
        }
    }
    Ok(())
}

/// −H g by the two-loop recursion, H being the inverse curvature that the memory implies.
fn descent_direction(gradient: &[f64], memory: &VecDeque<Correction>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut projections = Vec::with_capacity(memory.len());
    for correction in memory.iter().rev() {
        let projection = dot(&correction.step, &direction) / correction.curvature;
        add_scaled(&mut direction, -projection, &correction.change);
        projections.push(projection);
    }
    if let Some(last) = memory.back() {
        let scale = last.curvature / dot(&last.change, &last.change);
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    for (correction, projection) in memory.iter().zip(projections.iter().rev()) {
        let back = dot(&correction.change, &direction) / correction.curvature;
        add_scaled(&mut direction, projection - back, &correction.step);
    }
    direction
}

/// Keeps the latest corrections. One without positive curvature would turn the next direction uphill.
fn remember(memory: &mut VecDeque<Correction>, from: &[f64], to: &[f64], gradient: &[f64], next_gradient: &[f64]) {
    let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| b - a).collect::<Vec<f64>>();
    let (step, change) = (difference(from, to), difference(gradient, next_gradient));
    let curvature = dot(&step, &change);
    if curvature > f64::EPSILON * dot(&change, &change) {
        if memory.len() == MEMORY {
            memory.pop_front();
        }
        memory.push_back(Correction { step, change, curvature });
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(target: &mut [f64], factor: f64, values: &[f64]) {
    target.iter_mut().zip(values).for_each(|(target, value)| *target += factor * value);
}

#[cfg(test)]
mod tests {
    use domain::Error;

    use super::*;

    const LIMITS: Limits = Limits { iteration_count: 500, tolerance: 0.0 };

    /// Rosenbrock's valley: minimum 0 at (1, 1).
    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        gradient[0] = -2.0 * a - 400.0 * x[0] * b;
        gradient[1] = 200.0 * b;
        a * a + 100.0 * b * b
    }

    #[test]
    fn it_finds_the_end_of_a_curved_valley() {
        let mut position = vec![-1.2, 1.0];
        minimize(&mut position, LIMITS, rosenbrock, |_| Ok(())).unwrap();
        assert!(position.iter().all(|x| (x - 1.0).abs() < 1e-6), "{position:?}");
    }

    #[test]
    fn the_loss_never_rises_and_observers_can_stop_it() {
        let mut losses = vec![f64::INFINITY];
        let mut position = vec![-1.2, 1.0];
        let result = minimize(&mut position, LIMITS, rosenbrock, |loss| {
            assert!(loss <= *losses.last().unwrap());
            losses.push(loss);
            if losses.len() > 5 { Err(Error::Cancelled) } else { Ok(()) }
        });
        assert_eq!(result, Err(Error::Cancelled));
        assert_eq!(losses.len(), 6);
    }

    #[test]
    fn a_wall_of_infinite_loss_is_walked_around() {
        // x − ln x has its minimum at 1 and no value at or below 0.
        let bowl = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 1.0 - 1.0 / x[0];
            if x[0] > 0.0 { x[0] - x[0].ln() } else { f64::NAN }
        };
        let mut position = vec![0.01];
        minimize(&mut position, LIMITS, bowl, |_| Ok(())).unwrap();
        assert!((position[0] - 1.0).abs() < 1e-6);
    }
}
