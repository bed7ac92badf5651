//! Images of one's own: a PNG file becomes an image of the data set's shape, prepared as MNIST's authors
//! prepared theirs (ink on paper, scaled to 20 of 28 pixels, centered by its mass).

use std::io::Cursor;

use domain::{Error, Image, ImageShape, Result};
use image::{GrayImage, ImageFormat, ImageReader, Limits, imageops};

/// Largest PNG file.
pub(crate) const MAX_FILE_BYTES: usize = 10_000_000;
const MAX_SIDE: u32 = 4_096;
/// Memory the decoder may use: a 4,096² image with four 16-bit channels.
const MAX_DECODED_BYTES: u64 = 4_096 * 4_096 * 8;
/// Gray values below this are noise of a scan or a compression, not ink. An image whose values all lie
/// closer together than this shows nothing.
const INK_THRESHOLD: u8 = 32;

/// Decodes and prepares a PNG file. Heavy: call it off the async threads.
pub(crate) fn image_from_png(bytes: &[u8], shape: ImageShape) -> Result<Image> {
    if shape.channels != 1 {
        return Err(Error::invalid("image.png", format!("the data set's images are {shape}; send pixels instead")));
    }
    let gray = decode(bytes)?;
    check_shows_something(&gray)?;
    if gray.dimensions() == (shape.width as u32, shape.height as u32) {
        return Image::new(shape, ink_on_paper(gray).into_raw());
    }
    prepare(ink_on_paper(gray), shape)
}

fn decode(bytes: &[u8]) -> Result<GrayImage> {
    let refused = |why: String| Error::invalid("image.png", why);
    if bytes.len() > MAX_FILE_BYTES {
        return Err(refused(format!("{} bytes are more than {MAX_FILE_BYTES}", bytes.len())));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let decoded =
        reader.decode().map_err(|error| refused(format!("is not a readable PNG of at most 4096×4096: {error}")))?;
    Ok(over_white(&decoded.to_luma_alpha8()))
}

/// One rule for images of every size: a blank one has nothing that could be explained.
fn check_shows_something(gray: &GrayImage) -> Result<()> {
    let darkest = gray.pixels().map(|pixel| pixel.0[0]).min().unwrap_or_default();
    let lightest = gray.pixels().map(|pixel| pixel.0[0]).max().unwrap_or_default();
    if lightest - darkest >= INK_THRESHOLD { Ok(()) } else { Err(shows_nothing()) }
}

fn shows_nothing() -> Error {
    Error::invalid("image.png", "shows nothing: all its pixels are alike, or nearly so")
}

/// What is transparent shows the paper behind it.
fn over_white(image: &image::GrayAlphaImage) -> GrayImage {
    let blend = |luma: u8, alpha: u8| {
        let (luma, alpha) = (u32::from(luma), u32::from(alpha));
        ((luma * alpha + 255 * (255 - alpha)) / 255) as u8
    };
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        let [luma, alpha] = image.get_pixel(x, y).0;
        image::Luma([blend(luma, alpha)])
    })
}

/// 255 = ink. Paper is what most of the border is.
fn ink_on_paper(mut image: GrayImage) -> GrayImage {
    let (width, height) = image.dimensions();
    let border = image.enumerate_pixels().filter(|(x, y, _)| *x == 0 || *y == 0 || x + 1 == width || y + 1 == height);
    let (sum, count) =
        border.fold((0u64, 0u64), |(sum, count), (_, _, pixel)| (sum + u64::from(pixel.0[0]), count + 1));
    let paper_is_light = sum > 127 * count;
    if paper_is_light {
        imageops::invert(&mut image);
    }
    image
}

fn prepare(ink: GrayImage, shape: ImageShape) -> Result<Image> {
    let (left, top, width, height) = ink_box(&ink)?;
    let cropped = imageops::crop_imm(&ink, left, top, width, height).to_image();
    let side = |length: usize| (length * 20 / 28).max(1) as f64;
    let scale = (side(shape.width) / f64::from(width)).min(side(shape.height) / f64::from(height));
    let scaled_side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let small = imageops::resize(&cropped, scaled_side(width), scaled_side(height), imageops::FilterType::Triangle);

    let (mass_x, mass_y) = center_of_mass(&small);
    let offset_x = (shape.width as f64 / 2.0 - mass_x).round() as i64;
    let offset_y = (shape.height as f64 / 2.0 - mass_y).round() as i64;
    let mut canvas = GrayImage::new(shape.width as u32, shape.height as u32);
    imageops::overlay(&mut canvas, &small, offset_x, offset_y);
    Image::new(shape, canvas.into_raw())
}

/// Left, top, width and height of what is darker than noise.
fn ink_box(ink: &GrayImage) -> Result<(u32, u32, u32, u32)> {
    let inked = || ink.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] >= INK_THRESHOLD);
    let left = inked().map(|(x, _, _)| x).min();
    let top = inked().map(|(_, y, _)| y).min();
    let right = inked().map(|(x, _, _)| x).max();
    let bottom = inked().map(|(_, y, _)| y).max();
    match (left, top, right, bottom) {
        (Some(left), Some(top), Some(right), Some(bottom)) => Ok((left, top, right - left + 1, bottom - top + 1)),
        _ => Err(shows_nothing()),
    }
}

fn center_of_mass(image: &GrayImage) -> (f64, f64) {
    let mut total = 0.0;
    let mut weighted = (0.0, 0.0);
    for (x, y, pixel) in image.enumerate_pixels() {
        let mass = f64::from(pixel.0[0]);
        total += mass;
        weighted.0 += mass * (f64::from(x) + 0.5);
        weighted.1 += mass * (f64::from(y) + 0.5);
    }
    if total > 0.0 { (weighted.0 / total, weighted.1 / total) } else { (0.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape::gray(28, 28);

    fn png(image: &GrayImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    fn stroke(paper: u8, ink: u8) -> GrayImage {
        GrayImage::from_fn(200, 100, |x, y| {
            image::Luma([if (20..30).contains(&x) && (10..90).contains(&y) { ink } else { paper }])
        })
    }

    #[test]
    fn a_stroke_is_scaled_to_twenty_pixels_and_centered_whatever_the_paper() {
        for (paper, ink) in [(255, 0), (0, 255)] {
            let image = image_from_png(&png(&stroke(paper, ink)), SHAPE).unwrap();
            let rows: Vec<usize> =
                (0..28).filter(|row| image.pixels()[row * 28..(row + 1) * 28].iter().any(|&p| p > 127)).collect();
            assert_eq!((rows.first(), rows.last()), (Some(&4), Some(&23)));
            let columns: Vec<usize> = (0..28).filter(|x| (0..28).any(|y| image.pixels()[y * 28 + x] > 127)).collect();
            assert!(columns.iter().all(|x| (12..=15).contains(x)), "{columns:?}");
        }
    }

    #[test]
    fn an_image_of_the_right_shape_is_taken_as_it_is() {
        let exact = GrayImage::from_fn(28, 28, |x, y| image::Luma([if x == 3 && y == 5 { 200 } else { 0 }]));
        let image = image_from_png(&png(&exact), SHAPE).unwrap();
        assert_eq!(image.pixels()[5 * 28 + 3], 200);
    }

    #[test]
    fn a_blank_image_is_refused_whatever_its_size_and_its_gray() {
        for side in [28, 50] {
            for gray in [0, 100, 127, 128, 255] {
                let faint = |x, y| image::Luma([if (x, y) == (9, 9) { gray ^ 16 } else { gray }]);
                for blank in
                    [GrayImage::from_pixel(side, side, image::Luma([gray])), GrayImage::from_fn(side, side, faint)]
                {
                    let refused = image_from_png(&png(&blank), SHAPE).unwrap_err().to_string();
                    assert!(refused.contains("shows nothing"), "{side} {gray}: {refused}");
                }
            }
        }
        // The least ink that counts does so in both sizes.
        for side in [28, 50] {
            let thin = GrayImage::from_fn(side, side, |x, _| image::Luma([if x == 9 { INK_THRESHOLD } else { 0 }]));
            assert!(image_from_png(&png(&thin), SHAPE).is_ok(), "{side}");
        }
    }

    #[test]
    fn empty_broken_and_oversized_files_are_refused_with_a_reason() {
        let reason = |bytes: &[u8]| image_from_png(bytes, SHAPE).unwrap_err().to_string();
        assert!(reason(b"not a png").contains("not a readable PNG"));
        assert!(reason(&png(&GrayImage::new(5_000, 1))).contains("not a readable PNG"));
        assert!(reason(&vec![0; MAX_FILE_BYTES + 1]).contains("more than"));
    }
}
