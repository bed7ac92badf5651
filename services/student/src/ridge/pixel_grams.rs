//! The normal equations over pixels. Pixels are bytes, so every sum of their products is an integer and
//! exact: a fold's equations are the whole's minus its own without any loss.

use domain::Result;
use faer::{
    Accum, Mat, MatRef, Par,
    linalg::matmul::{
        matmul,
        triangular::{self, BlockStructure},
    },
};

use super::{RidgeSolution, mean_logits, solve_in_place};
use crate::distillation::samples::{BLOCK_ROW_COUNT, FOLD_COUNT, Part, Samples};

/// Neighbors are summed by i mod 10: any fold (i mod 5) and either half (i mod 2) is a union of such cells.
const CELL_COUNT: usize = 10;

/// Sums of products of bytes, `[active × active]`, lower triangle, column by column. 10,000 × 255² is
/// below 2³¹.
type Gram = Vec<i32>;

pub(super) struct PixelGrams {
    total: Gram,
    folds: [Gram; FOLD_COUNT],
    even_half: Gram,
    cells: Vec<Cell>,
}

/// First-order sums over the neighbors of one cell.
struct Cell {
    /// Σ x, `[active]`, in bytes.
    pixels: Vec<i64>,
    /// Σ x yᵀ, `[active × label]`, in bytes × logits.
    cross: Mat<f64>,
}

impl PixelGrams {
    pub(super) fn new(samples: &Samples) -> Self {
        let size = samples.active.len();
        let empty = || vec![0i32; size * size];
        let mut grams = Self {
            total: empty(),
            folds: std::array::from_fn(|_| empty()),
            even_half: empty(),
            cells: Vec::with_capacity(CELL_COUNT),
        };
        for cell in 0..CELL_COUNT {
            grams.add_cell(samples, cell);
        }
        for fold in &grams.folds {
            add(fold, &mut grams.total);
        }
        grams
    }

    fn add_cell(&mut self, samples: &Samples, cell: usize) {
        let (size, label_count) = (samples.active.len(), samples.label_count);
        let rows: Vec<usize> = (cell..samples.row_count).step_by(CELL_COUNT).collect();
        let mut sums = Cell { pixels: vec![0; size], cross: Mat::zeros(size, label_count) };
        let mut products = Mat::<f32>::zeros(size, size);
        let (mut single, mut double, mut logits) = (Vec::<f32>::new(), Vec::<f64>::new(), Vec::new());
        for rows in rows.chunks(BLOCK_ROW_COUNT) {
            samples.load(rows, &mut single);
            samples.load(rows, &mut double);
            logits.clear();
            for &row in rows {
                logits.extend_from_slice(samples.labels_of(&samples.centered_logits, row));
                sums.pixels.iter_mut().zip(samples.row(row)).for_each(|(sum, &byte)| *sum += i64::from(byte));
            }
            let x = MatRef::from_row_major_slice(&single, rows.len(), size); // [row × active]
            triangular::matmul(
                products.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Replace,
                x.transpose(),
                BlockStructure::Rectangular,
                x,
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
            add_products(&products, &mut self.folds[cell % FOLD_COUNT]);
            if cell.is_multiple_of(2) {
                add_products(&products, &mut self.even_half);
            }
            let x = MatRef::from_row_major_slice(&double, rows.len(), size); // [row × active]
            let y = MatRef::from_row_major_slice(&logits, rows.len(), label_count); // [row × label]
            matmul(sums.cross.as_mut(), Accum::Add, x.transpose(), y, 1.0, Par::Seq);
        }
        self.cells.push(sums);
    }

    pub(super) fn solve(&self, samples: &Samples, part: Part, l2: f64) -> Result<RidgeSolution> {
        let (size, label_count) = (samples.active.len(), samples.label_count);
        let rows = part.indices(samples.row_count);
        let n = rows.len() as f64;
        let sums = self.pixel_sums(part);
        let mean_pixels: Vec<f64> = sums.iter().map(|&sum| sum as f64 / (255.0 * n)).collect();
        let mean_logits = mean_logits(samples, &rows);
        let offset: Vec<f64> =
            samples.instance.iter().zip(&mean_pixels).map(|(&byte, mean)| f64::from(byte) / 255.0 - mean).collect();

        let mut scatter = self.scatter(part, &sums, n);
        for pixel in 0..size {
            scatter[(pixel, pixel)] += l2 * n;
        }
        let mut solution = Mat::zeros(size, label_count + 1); // [active × (label, d)]
        for (cell, sums) in self.cells.iter().enumerate().filter(|(cell, _)| part.contains(*cell)) {
            debug_assert!(cell < CELL_COUNT);
            for label in 0..label_count {
                let columns = solution.col_as_slice_mut(label).iter_mut().zip(sums.cross.col_as_slice(label));
                columns.for_each(|(sum, cross)| *sum += cross / 255.0);
            }
        }
        for (label, mean) in mean_logits.iter().enumerate() {
            let column = solution.col_as_slice_mut(label).iter_mut().zip(&mean_pixels);
            column.for_each(|(cross, pixel)| *cross -= n * pixel * mean);
        }
        solution.col_as_slice_mut(label_count).copy_from_slice(&offset);
        solve_in_place(&mut scatter, &mut solution)?;

        let direction = solution.col_as_slice(label_count).to_vec();
        solution.truncate(size, label_count);
        Ok(RidgeSolution { weights: solution, direction, offset, mean_pixels, mean_logits, row_count: rows.len() })
    }

    /// Σ x over a part, `[active]`, in bytes.
    fn pixel_sums(&self, part: Part) -> Vec<i64> {
        let mut sums = vec![0; self.cells[0].pixels.len()];
        for (_, cell) in self.cells.iter().enumerate().filter(|(cell, _)| part.contains(*cell)) {
            sums.iter_mut().zip(&cell.pixels).for_each(|(sum, pixels)| *sum += pixels);
        }
        sums
    }

    /// Σ (x − mean)(x − mean)ᵀ over a part, lower triangle, in units of ink squared. n Σ x xᵀ − Σ x Σ xᵀ is
    /// an integer below 2⁵³, so the only rounding is the division.
    fn scatter(&self, part: Part, sums: &[i64], n: f64) -> Mat<f64> {
        let size = sums.len();
        let sums: Vec<f64> = sums.iter().map(|&sum| sum as f64).collect();
        let (gram, less) = match part {
            Part::All => (&self.total, None),
            Part::WithoutFold(fold) => (&self.total, Some(&self.folds[fold])),
            Part::Half(0) => (&self.even_half, None),
            Part::Half(_) => (&self.total, Some(&self.even_half)),
        };
        let scale = 1.0 / (n * 255.0 * 255.0);
        let mut scatter = Mat::zeros(size, size);
        for column in 0..size {
            let range = column * size + column..(column + 1) * size;
            let out = &mut scatter.col_as_slice_mut(column)[column..];
            let (gram, column_sum) = (&gram[range.clone()], sums[column]);
            let entries = out.iter_mut().zip(gram).zip(&sums[column..]);
            match less {
                None => entries.for_each(|((out, &g), s)| *out = (n * f64::from(g) - column_sum * s) * scale),
                Some(less) => entries.zip(&less[range]).for_each(|(((out, &g), s), &l)| {
                    *out = (n * f64::from(g - l) - column_sum * s) * scale;
                }),
            }
        }
        scatter
    }
}

/// Adds the lower triangle of exact `f32` integers.
fn add_products(products: &Mat<f32>, gram: &mut Gram) {
    let size = products.nrows();
    for column in 0..size {
        let products = &products.col_as_slice(column)[column..];
        let gram = &mut gram[column * size + column..(column + 1) * size];
        gram.iter_mut().zip(products).for_each(|(sum, &product)| *sum += product as i32);
    }
}

fn add(gram: &[i32], total: &mut Gram) {
    total.iter_mut().zip(gram).for_each(|(total, value)| *total += value);
}
