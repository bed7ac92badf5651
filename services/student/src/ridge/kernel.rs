//! The same equations over neighbors: W = Rᵀ (R Rᵀ + λ n I)⁻¹ Q, with R and Q the centered pixels and
//! logits. All inner products are made once; every part of the neighbors is a submatrix of them.

use domain::Result;
use faer::{
    Accum, Mat, MatRef, Par,
    linalg::matmul::{
        matmul,
        triangular::{self, BlockStructure},
    },
};

use super::{RidgeSolution, mean_logits, solve_in_place};
use crate::distillation::samples::{BLOCK_ROW_COUNT, Part, Samples};

pub(super) struct Kernel {
    /// x · x' in bytes squared, `[row][row]`, symmetric; the instance is the last row. 16,384 × 255² is
    /// below 2³¹.
    products: Vec<i32>,
    size: usize,
}

impl Kernel {
    pub(super) fn new(samples: &Samples) -> Self {
        let size = samples.row_count + 1;
        let mut products = vec![0i32; size * size];
        let mut block_products = Mat::<f32>::zeros(size, size);
        let mut block = Vec::<f32>::new();
        // Blocks of pixels are as short as those of rows, and for the same reason: `f32` stays exact.
        for start in (0..samples.active.len()).step_by(BLOCK_ROW_COUNT) {
            let end = (start + BLOCK_ROW_COUNT).min(samples.active.len());
            block.clear();
            for row in (0..samples.row_count).map(|row| samples.row(row)).chain([samples.instance.as_slice()]) {
                block.extend(row[start..end].iter().map(|&byte| f32::from(byte)));
            }
            let x = MatRef::from_row_major_slice(&block, size, end - start); // [row × pixel]
            triangular::matmul(
                block_products.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Replace,
                x,
                BlockStructure::Rectangular,
                x.transpose(),
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
            for column in 0..size {
                let sums = &mut products[column * size + column..(column + 1) * size];
                let new = &block_products.col_as_slice(column)[column..];
                sums.iter_mut().zip(new).for_each(|(sum, &product)| *sum += product as i32);
            }
        }
        for column in 0..size {
            for row in column + 1..size {
                products[row * size + column] = products[column * size + row];
            }
        }
        Self { products, size }
    }

    /// Products of one row with all, the instance last.
    fn row(&self, index: usize) -> &[i32] {
        &self.products[index * self.size..(index + 1) * self.size]
    }

    pub(super) fn solve(&self, samples: &Samples, part: Part, l2: f64) -> Result<RidgeSolution> {
        let rows = part.indices(samples.row_count);
        let (size, label_count) = (rows.len(), samples.label_count);
        let n = size as f64;
        let mean_product = |index: usize| {
            let products = self.row(index);
            rows.iter().map(|&row| i64::from(products[row])).sum::<i64>() as f64 / n
        };
        let means: Vec<f64> = rows.iter().map(|&row| mean_product(row)).collect();
        let grand_mean = means.iter().sum::<f64>() / n;
        let instance_mean = mean_product(self.size - 1);
        let penalty = l2 * n;
        let scale = 1.0 / (255.0 * 255.0);

        let mut matrix = Mat::zeros(size, size); // [row × row], lower triangle
        for column in 0..size {
            let products = self.row(rows[column]);
            let shift = grand_mean - means[column];
            let out = &mut matrix.col_as_slice_mut(column)[column..];
            for ((out, &row), mean) in out.iter_mut().zip(&rows[column..]).zip(&means[column..]) {
                *out = (f64::from(products[row]) - mean + shift) * scale;
            }
            out[0] += penalty;
        }
        let mean_logits = mean_logits(samples, &rows);
        let mut solution = Mat::zeros(size, label_count + 1); // [row × (label, R d)]
        let instance_products = self.row(self.size - 1);
        for (position, &row) in rows.iter().enumerate() {
            let logits = samples.labels_of(&samples.centered_logits, row).iter().zip(&mean_logits);
            for (label, (logit, mean)) in logits.enumerate() {
                solution[(position, label)] = logit - mean;
            }
            let product = f64::from(instance_products[row]) - means[position] - instance_mean + grand_mean;
            solution[(position, label_count)] = product * scale;
        }
        solve_in_place(&mut matrix, &mut solution)?;

        // Back to pixels. The columns of the solution sum to 0, so that uncentered pixels may be used.
        let width = samples.active.len();
        let mut mapped = Mat::zeros(width, label_count + 1); // [active × (label, Rᵀ s)]
        let (mut block, mut position) = (Vec::<f64>::new(), 0);
        let mut pixel_sums = vec![0i64; width];
        for rows in rows.chunks(BLOCK_ROW_COUNT) {
            samples.load(rows, &mut block);
            for &row in rows {
                pixel_sums.iter_mut().zip(samples.row(row)).for_each(|(sum, &byte)| *sum += i64::from(byte));
            }
            let x = MatRef::from_row_major_slice(&block, rows.len(), width); // [row × active]
            let coefficients = solution.subrows(position, rows.len()); // [row × (label, s)]
            matmul(mapped.as_mut(), Accum::Add, x.transpose(), coefficients, 1.0 / 255.0, Par::Seq);
            position += rows.len();
        }
        let mean_pixels: Vec<f64> = pixel_sums.iter().map(|&sum| sum as f64 / (255.0 * n)).collect();
        let offset: Vec<f64> =
            samples.instance.iter().zip(&mean_pixels).map(|(&byte, mean)| f64::from(byte) / 255.0 - mean).collect();
        // G⁻¹ d = (d − Rᵀ (R Rᵀ + λ n I)⁻¹ R d) / (λ n)
        let seen = mapped.col_as_slice(label_count);
        let direction = offset.iter().zip(seen).map(|(offset, seen)| (offset - seen) / penalty).collect();
        mapped.truncate(width, label_count);
        Ok(RidgeSolution { weights: mapped, direction, offset, mean_pixels, mean_logits, row_count: size })
    }
}
