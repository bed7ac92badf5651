//! Where the images of a grid lie and how they look as one picture. Pure.

use domain::{Image, Label, Neighbor};

use crate::plots::colors::{Stroke, class_style};

/// Side of an image in the grid, in CSS pixels; larger images are sampled down to it.
pub const SIDE: usize = 28;
/// Least distance from one image's left edge to the next one's.
const LEAST_PITCH: usize = 34;
/// Height of a row: image, gap, underline, gap.
pub const ROW: usize = 38;
/// From an image's top to its underline, and the underline's thickness.
const UNDERLINE: (usize, usize) = (31, 3);

/// Rows of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Images in all.
    pub count: usize,
    /// Images a row, at least 1.
    pub columns: usize,
    /// From one image's left edge to the next one's.
    pub pitch: usize,
}

impl Grid {
    /// As many columns as fit, spread over the width.
    pub fn fit(count: usize, width: f64) -> Self {
        let width = (width.max(0.0) as usize).max(LEAST_PITCH);
        let columns = width / LEAST_PITCH;
        Self { count, columns, pitch: width / columns }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.count.div_ceil(self.columns)
    }

    /// Of the picture.
    pub fn width(&self) -> usize {
        self.columns * self.pitch
    }

    /// Of the picture.
    pub fn height(&self) -> usize {
        self.rows() * ROW
    }

    /// Left and top of an image.
    pub fn place(&self, index: usize) -> (usize, usize) {
        let left = index % self.columns * self.pitch + (self.pitch - SIDE) / 2;
        (left, index / self.columns * ROW)
    }

    /// The image at a point; the gaps belong to the image before them.
    pub fn at(&self, x: f64, y: f64) -> Option<usize> {
        if x < 0.0 || y < 0.0 || x >= self.width() as f64 {
            return None;
        }
        let index = y as usize / ROW * self.columns + x as usize / self.pitch;
        (index < self.count).then_some(index)
    }
}

/// Positions of the neighbors that are shown: those with pixels and, with `focus`, that answer.
pub fn shown(neighbors: &[Neighbor], focus: Option<Label>) -> Vec<usize> {
    let wanted = |neighbor: &Neighbor| {
        neighbor.image.is_some() && focus.is_none_or(|focus| neighbor.soft_labels.predicted_label() == focus)
    };
    neighbors.iter().enumerate().filter(|(_, neighbor)| wanted(neighbor)).map(|(index, _)| index).collect()
}

/// The whole grid as RGBA, transparent between the images, each underlined by the teacher's answer.
pub fn raster(grid: &Grid, neighbors: &[&Neighbor], labels: (Option<Label>, Option<Label>)) -> Vec<u8> {
    let mut rgba = vec![0; grid.width() * grid.height() * 4];
    let mut put = |x: usize, y: usize, color: [u8; 3]| {
        let at = (y * grid.width() + x) * 4;
        rgba[at..at + 4].copy_from_slice(&[color[0], color[1], color[2], 255]);
    };
    for (index, neighbor) in neighbors.iter().enumerate().take(grid.count) {
        let (left, top) = grid.place(index);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let paper = neighbor.image.as_ref().map_or(255, |image| 255 - sample(image, x, y));
                put(left + x, top + y, [paper; 3]);
            }
        }
        let (color, stroke) = class_style(neighbor.soft_labels.predicted_label(), labels.0, labels.1);
        for x in (0..SIDE).filter(|&x| stroke.covers(x)) {
            let thickness = if stroke == Stroke::Dotted { UNDERLINE.1 - 1 } else { UNDERLINE.1 };
            for y in 0..thickness {
                put(left + x, top + UNDERLINE.0 + y, [color.0, color.1, color.2]);
            }
        }
    }
    rgba
}

/// The nearest pixel of the image's first channel.
fn sample(image: &Image, x: usize, y: usize) -> u8 {
    let shape = image.shape();
    image.pixels()[y * shape.height / SIDE * shape.width + x * shape.width / SIDE]
}

#[cfg(test)]
mod tests {
    use domain::{ImageShape, SoftLabels, Temperature};

    use super::*;

    fn neighbor(label: usize, ink: u8) -> Neighbor {
        let mut probabilities = vec![0.0; 4];
        probabilities[label] = 1.0;
        let soft_labels = SoftLabels { probabilities, temperature: Temperature::ONE };
        let image = Image::new(ImageShape::gray(2, 2), vec![ink; 4]).ok();
        Neighbor { index: 0, latent: vec![], soft_labels, image }
    }

    #[test]
    fn every_image_is_found_where_it_is_drawn() {
        let grid = Grid::fit(40, 530.0);
        assert!(grid.width() <= 530 && grid.columns == 15 && grid.rows() == 3);
        for index in 0..40 {
            let (left, top) = grid.place(index);
            assert_eq!(grid.at(left as f64 + 1.0, top as f64 + 1.0), Some(index));
        }
        assert_eq!(grid.at(529.0, 1_000.0), None);
        assert_eq!(Grid::fit(3, 0.0).columns, 1, "a width of nothing still has a column");
    }

    #[test]
    fn an_answer_is_told_by_its_underline() {
        let neighbors = [neighbor(1, 255), neighbor(2, 255), neighbor(3, 0)];
        let refs: Vec<&Neighbor> = neighbors.iter().collect();
        let grid = Grid::fit(3, 120.0);
        let rgba = raster(&grid, &refs, (Some(Label(2)), Some(Label(1))));
        let covered = |index: usize| {
            let (left, top) = grid.place(index);
            let row = (top + UNDERLINE.0) * grid.width() + left;
            (0..SIDE).filter(|x| rgba[(row + x) * 4 + 3] == 255).count()
        };
        assert_eq!((covered(0), covered(1), covered(2)), (28, 20, 10), "solid, dashed, dotted");
        let (left, top) = grid.place(0);
        assert_eq!(rgba[(top * grid.width() + left) * 4..][..4], [0, 0, 0, 255], "ink is dark");
    }

    #[test]
    fn a_focused_answer_shows_only_its_images() {
        let neighbors = [neighbor(1, 0), neighbor(2, 0), neighbor(1, 0)];
        assert_eq!(shown(&neighbors, Some(Label(1))), [0, 2]);
        assert_eq!(shown(&neighbors, None), [0, 1, 2]);
    }
}
