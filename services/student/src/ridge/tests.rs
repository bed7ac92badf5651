//! The oracle of the closed form: the definition itself, one weighted row after the other, solved by plain
//! elimination. It shares no line with the code under test.

use super::*;
use crate::testing::samples;

const L2: f64 = 3e-3;
const ALL_PARTS: [Part; 8] = [
    Part::All,
    Part::WithoutFold(0),
    Part::WithoutFold(1),
    Part::WithoutFold(2),
    Part::WithoutFold(3),
    Part::WithoutFold(4),
    Part::Half(0),
    Part::Half(1),
];

/// Solves A x = b for several b by elimination with row pivoting. `a` is `[row][column]`.
fn eliminate(mut a: Vec<Vec<f64>>, mut b: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let size = a.len();
    for pivot in 0..size {
        let best = (pivot..size).max_by(|&i, &j| a[i][pivot].abs().total_cmp(&a[j][pivot].abs())).unwrap();
        a.swap(pivot, best);
        b.swap(pivot, best);
        let (pivot_a, pivot_b) = (a[pivot].clone(), b[pivot].clone());
        for row in (0..size).filter(|&row| row != pivot) {
            let factor = a[row][pivot] / pivot_a[pivot];
            a[row].iter_mut().zip(&pivot_a).for_each(|(value, above)| *value -= factor * above);
            b[row].iter_mut().zip(&pivot_b).for_each(|(value, above)| *value -= factor * above);
        }
    }
    (0..size).map(|row| b[row].iter().map(|value| value / a[row][row]).collect()).collect()
}

/// W `[pixel][label]` and then b, from weighted rows (weight, pixels in units of ink, logits): the normal
/// equations with the bias as one more, unpenalized pixel.
fn weighted_ridge(rows: &[(f64, Vec<f64>, Vec<f64>)], penalty: f64) -> Vec<Vec<f64>> {
    let (size, label_count) = (rows[0].1.len() + 1, rows[0].2.len());
    let (mut a, mut b) = (vec![vec![0.0; size]; size], vec![vec![0.0; label_count]; size]);
    for (weight, pixels, logits) in rows {
        let x: Vec<f64> = pixels.iter().copied().chain([1.0]).collect();
        for i in 0..size {
            for j in 0..size {
                a[i][j] += weight * x[i] * x[j];
            }
            for label in 0..label_count {
                b[i][label] += weight * x[i] * logits[label];
            }
        }
    }
    for (pixel, row) in a.iter_mut().enumerate().take(size - 1) {
        row[pixel] += penalty;
    }
    eliminate(a, b)
}

fn check(row_count: usize, pixel_count: usize, over_neighbors: bool) {
    let samples = samples(row_count, pixel_count, 3);
    let ridge = Ridge::new(&samples);
    assert_eq!(matches!(ridge.form, Form::OverNeighbors(_)), over_neighbors);
    let unit = |bytes: &[u8]| bytes.iter().map(|&byte| f64::from(byte) / 255.0).collect::<Vec<f64>>();
    for part in ALL_PARTS {
        for instance_weight in [0.0, 0.1, 2.0] {
            let indices = part.indices(row_count);
            let n = indices.len() as f64;
            let mut rows: Vec<_> = indices
                .iter()
                .map(|&i| (1.0, unit(samples.row(i)), samples.labels_of(&samples.centered_logits, i).to_vec()))
                .collect();
            rows.push((instance_weight * n, unit(&samples.instance), samples.instance_logits.clone()));
            let expected = weighted_ridge(&rows, L2 * n);
            let fitted = ridge.solve(part, L2).unwrap().with_instance(&samples, instance_weight);
            for label in 0..3 {
                let values = fitted.weights_of(label).iter().chain([&fitted.biases()[label]]);
                for (value, row) in values.zip(&expected) {
                    assert!((value - row[label]).abs() < 1e-9, "{part:?}: {value} instead of {}", row[label]);
                }
            }
        }
    }
}

#[test]
fn over_pixels_every_part_equals_a_naive_refit() {
    check(63, 21, false);
}

#[test]
fn over_neighbors_every_part_equals_a_naive_refit() {
    check(33, 70, true);
}

#[test]
fn over_more_than_one_block_of_pixels_and_rows() {
    check(40, 300, true);
    check(2_700, 12, false);
}

#[test]
fn a_class_mean_of_zero_stays_zero() {
    let samples = samples(63, 21, 3);
    let fitted = Ridge::new(&samples).solve(Part::All, L2).unwrap().with_instance(&samples, 0.1);
    let sums = (0..samples.active.len()).map(|pixel| (0..3).map(|label| fitted.weights_of(label)[pixel]).sum::<f64>());
    assert!(sums.into_iter().all(|sum| sum.abs() < 1e-10));
}
