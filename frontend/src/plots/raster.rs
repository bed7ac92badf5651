//! Pixels to RGBA bytes: gray images as ink on paper, signed maps on the diverging scale, and the
//! outline of an image's ink. Pure.

use domain::{Heatmap, Image};

use super::colors::{Rgb, diverging};

/// `width × height × 4` bytes, row-major.
pub fn image_rgba(image: &Image) -> Vec<u8> {
    let shape = image.shape();
    let plane = shape.height * shape.width;
    let pixels = image.pixels();
    let mut rgba = Vec::with_capacity(plane * 4);
    for i in 0..plane {
        let color = if shape.channels >= 3 {
            Rgb(pixels[i], pixels[plane + i], pixels[2 * plane + i])
        } else {
            let paper = 255 - pixels[i];
            Rgb(paper, paper, paper)
        };
        rgba.extend([color.0, color.1, color.2, 255]);
    }
    rgba
}

/// `width × height × 4` bytes; values at ±`limit` have the scale's end colors. Channels are summed.
pub fn heatmap_rgba(heatmap: &Heatmap, limit: f32) -> Vec<u8> {
    let shape = heatmap.shape();
    let plane = shape.height * shape.width;
    let mut rgba = Vec::with_capacity(plane * 4);
    for i in 0..plane {
        let value: f32 = heatmap.values()[i..].iter().step_by(plane).sum();
        let color = diverging(value, limit);
        rgba.extend([color.0, color.1, color.2, 255]);
    }
    rgba
}

/// Ink at least this dark counts as inside the outline.
const INK: u8 = 110;

/// SVG path in pixel units around the ink of an image's first channel: one unit step for every edge
/// between ink and paper.
pub fn outline_path(image: &Image) -> String {
    let shape = image.shape();
    let (width, height) = (shape.width, shape.height);
    let is_ink = |row: usize, column: usize| image.pixels()[row * width + column] >= INK;
    let mut path = String::new();
    for row in 0..height {
        for column in 0..width {
            let here = is_ink(row, column);
            if here != (column > 0 && is_ink(row, column - 1)) {
                path.push_str(&format!("M{column} {row}v1"));
            }
            if here != (row > 0 && is_ink(row - 1, column)) {
                path.push_str(&format!("M{column} {row}h1"));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use domain::ImageShape;

    use super::*;

    #[test]
    fn ink_is_dark_on_light_paper() {
        let image = Image::new(ImageShape::gray(1, 2), vec![0, 255]).unwrap();
        assert_eq!(image_rgba(&image), [255, 255, 255, 255, 0, 0, 0, 255]);
    }

    #[test]
    fn color_images_keep_their_colors() {
        let shape = ImageShape { channels: 3, height: 1, width: 1 };
        let image = Image::new(shape, vec![10, 20, 30]).unwrap();
        assert_eq!(image_rgba(&image), [10, 20, 30, 255]);
    }

    #[test]
    fn a_signed_map_is_white_where_it_is_zero() {
        let map = Heatmap::new(ImageShape::gray(1, 3), vec![-1.0, 0.0, 1.0]).unwrap();
        let rgba = heatmap_rgba(&map, 1.0);
        assert_eq!(rgba[4..8], [255, 255, 255, 255]);
        assert_eq!(rgba[0..3], [0x5d, 0x3a, 0x9b]);
        assert_eq!(rgba[8..11], [0xe6, 0x61, 0x00]);
    }

    #[test]
    fn the_outline_of_one_pixel_has_four_sides() {
        let mut pixels = vec![0; 9];
        pixels[4] = 255;
        let path = outline_path(&Image::new(ImageShape::gray(3, 3), pixels).unwrap());
        assert_eq!(path.matches('M').count(), 4);
        assert!(path.contains("M1 1v1") && path.contains("M2 1v1") && path.contains("M1 2h1"));
    }
}
