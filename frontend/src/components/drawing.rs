//! From what a hand or a file gives to an image as the data set has it: ink bright, the digit fitted
//! into the middle and centered by its mass, as MNIST's makers did (LeCun et al. 1998). Pure.

use domain::{Image, ImageShape};

/// A gray picture of any size: ink in `[0, 1]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct InkPicture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width × height` values, 0 = paper.
    pub ink: Vec<f32>,
}

/// Fainter than this is paper.
const FAINT: f32 = 0.1;

impl InkPicture {
    /// Reads RGBA bytes of a file. Paper is what most of the border shows; transparent is paper.
    pub fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Option<Self> {
        if width == 0 || height == 0 || rgba.len() != width.checked_mul(height)?.checked_mul(4)? {
            return None;
        }
        let pixels: Vec<(f32, f32)> = rgba
            .chunks_exact(4)
            .map(|p| {
                let luminance = 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
                (luminance / 255.0, f32::from(p[3]) / 255.0)
            })
            .collect();
        let on_border = |i: usize| {
            let (row, column) = (i / width, i % width);
            row == 0 || column == 0 || row + 1 == height || column + 1 == width
        };
        let opaque = || pixels.iter().enumerate().filter(|&(i, p)| on_border(i) && p.1 > 0.5);
        let bright = opaque().filter(|(_, p)| p.0 > 0.5).count();
        // Without an opaque border the drawing is on nothing: dark ink is then the habit.
        let paper_is_bright = 2 * bright >= opaque().count();
        let ink = |&(luminance, alpha): &(f32, f32)| alpha * if paper_is_bright { 1.0 - luminance } else { luminance };
        Some(Self { width, height, ink: pixels.iter().map(ink).collect() })
    }

    /// Whether there is nothing on the paper.
    pub fn is_blank(&self) -> bool {
        self.ink.iter().all(|&ink| ink < FAINT)
    }

    /// The picture as an image of `shape`: as it is where the sizes are equal, else cropped to its ink,
    /// fitted into 20/28 of the shape and centered by mass. `None` for a blank picture.
    pub fn to_image(&self, shape: ImageShape) -> Option<Image> {
        if self.is_blank() {
            return None;
        }
        let gray = if (self.width, self.height) == (shape.width, shape.height) {
            self.ink.clone()
        } else {
            self.fitted(shape)
        };
        let plane: Vec<u8> = gray.iter().map(|&ink| (ink.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
        Image::new(shape, plane.repeat(shape.channels)).ok()
    }

    fn fitted(&self, shape: ImageShape) -> Vec<f32> {
        let (left, top, width, height) = self.bounds();
        let room = (shape.width.min(shape.height) as f32 * 20.0 / 28.0).max(1.0);
        let scale = room / width.max(height);
        // Center of mass in the picture goes to the middle of the shape.
        let (mass_x, mass_y) = self.center_of_mass();
        let (middle_x, middle_y) = (shape.width as f32 / 2.0, shape.height as f32 / 2.0);
        let clamp = |middle: f32, mass: f32, low: f32, extent: f32, side: f32| {
            // Never past the edge: an odd stroke far out may pull the mass, not cut the digit.
            let start = middle - (mass - low) * scale;
            start.clamp(0.0, (side - extent * scale).max(0.0))
        };
        let start_x = clamp(middle_x, mass_x, left, width, shape.width as f32);
        let start_y = clamp(middle_y, mass_y, top, height, shape.height as f32);
        let mut gray = Vec::with_capacity(shape.width * shape.height);
        for row in 0..shape.height {
            for column in 0..shape.width {
                let x0 = left + (column as f32 - start_x) / scale;
                let y0 = top + (row as f32 - start_y) / scale;
                gray.push(self.mean_ink(x0, y0, x0 + 1.0 / scale, y0 + 1.0 / scale));
            }
        }
        let darkest = gray.iter().copied().fold(0.0, f32::max);
        gray.iter().map(|ink| ink / darkest.max(FAINT)).collect()
    }

    /// Left, top, width and height of the ink.
    fn bounds(&self) -> (f32, f32, f32, f32) {
        let (mut left, mut top, mut right, mut bottom) = (self.width, self.height, 0, 0);
        for (i, _) in self.ink.iter().enumerate().filter(|(_, ink)| **ink >= FAINT) {
            let (row, column) = (i / self.width, i % self.width);
            (left, right) = (left.min(column), right.max(column + 1));
            (top, bottom) = (top.min(row), bottom.max(row + 1));
        }
        (left as f32, top as f32, (right - left) as f32, (bottom - top) as f32)
    }

    fn center_of_mass(&self) -> (f32, f32) {
        let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
        for (i, &ink) in self.ink.iter().enumerate().filter(|(_, ink)| **ink >= FAINT) {
            mass += ink;
            x += ink * ((i % self.width) as f32 + 0.5);
            y += ink * ((i / self.width) as f32 + 0.5);
        }
        (x / mass, y / mass)
    }

    /// Mean ink over a box, paper outside; at least the one pixel under the box's middle.
    fn mean_ink(&self, x0: f32, y0: f32, x1: f32, y1: f32) -> f32 {
        let cells = |from: f32, to: f32| {
            let first = from.round() as i64;
            let last = (to.round() as i64).max(first + 1);
            first..last
        };
        let (mut sum, mut count) = (0.0, 0.0);
        for y in cells(y0, y1) {
            for x in cells(x0, x1) {
                count += 1.0;
                let inside = x >= 0 && y >= 0 && x < self.width as i64 && y < self.height as i64;
                if inside {
                    sum += self.ink[y as usize * self.width + x as usize];
                }
            }
        }
        sum / count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape::gray(28, 28);

    fn square(width: usize, height: usize, inside: impl Fn(usize, usize) -> bool) -> InkPicture {
        let ink = (0..width * height).map(|i| if inside(i % width, i / width) { 1.0 } else { 0.0 }).collect();
        InkPicture { width, height, ink }
    }

    #[test]
    fn a_drawing_is_fitted_into_the_middle_wherever_it_was_drawn() {
        let corner = square(280, 280, |x, y| x < 100 && y < 50);
        let image = corner.to_image(SHAPE).unwrap();
        let rows: Vec<usize> =
            (0..28).filter(|row| image.pixels()[row * 28..][..28].iter().any(|&p| p > 127)).collect();
        let columns: Vec<usize> =
            (0..28).filter(|column| (0..28).any(|row| image.pixels()[row * 28 + column] > 127)).collect();
        assert_eq!((rows.len(), columns.len()), (10, 20), "twice as wide as high, twenty wide");
        assert_eq!((rows[0], columns[0]), (9, 4));
    }

    #[test]
    fn an_image_of_the_right_size_is_taken_as_it_is() {
        let picture = square(28, 28, |x, y| x == 3 && y == 4);
        assert_eq!(picture.to_image(SHAPE).unwrap().pixels()[4 * 28 + 3], 255);
    }

    #[test]
    fn ink_is_found_on_light_and_on_dark_paper() {
        for (paper, ink) in [(255u8, 0u8), (0, 255)] {
            let rgba: Vec<u8> =
                (0..9).flat_map(|i| if i == 4 { [ink, ink, ink, 255] } else { [paper, paper, paper, 255] }).collect();
            let picture = InkPicture::from_rgba(3, 3, &rgba).unwrap();
            assert!((picture.ink[4] - 1.0).abs() < 1e-6 && picture.ink[0] == 0.0);
        }
    }

    #[test]
    fn a_blank_or_broken_picture_is_no_image() {
        assert_eq!(square(50, 50, |_, _| false).to_image(SHAPE), None);
        assert_eq!(InkPicture::from_rgba(2, 2, &[0; 15]), None);
        assert_eq!(InkPicture::from_rgba(0, 2, &[]), None);
    }
}
