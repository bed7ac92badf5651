//! Images as the services pass them: packed `u8`, row-major, channel-first, ink = 255.

use std::{fmt, sync::Arc};

use crate::error::{Error, Result};

/// Largest number of pixels an image may have (4,096²), checked before anything is allocated.
pub const MAX_PIXEL_COUNT: usize = 4_096 * 4_096;

/// Channels, height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageShape {
    /// 1 for gray.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl ImageShape {
    /// A gray image's shape.
    pub const fn gray(height: usize, width: usize) -> Self {
        Self { channels: 1, height, width }
    }

    /// Checks that no side is zero and that the whole stays under [`MAX_PIXEL_COUNT`].
    pub fn new(channels: usize, height: usize, width: usize) -> Result<Self> {
        let pixel_count = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
        match pixel_count {
            Some(count) if count > 0 && count <= MAX_PIXEL_COUNT => Ok(Self { channels, height, width }),
            _ => Err(Error::invalid(
                "",
                format!(
                    "{channels}×{height}×{width} is not an image shape: sides are at least 1 and the product at most {MAX_PIXEL_COUNT}"
                ),
            )),
        }
    }

    /// Values in one image.
    pub const fn pixel_count(&self) -> usize {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Image {
    shape: ImageShape,
    pixels: Arc<[u8]>,
}

impl Image {
    /// Checks that the pixels fill the shape.
    pub fn new(shape: ImageShape, pixels: impl Into<Arc<[u8]>>) -> Result<Self> {
        let pixels = pixels.into();
        if pixels.len() != shape.pixel_count() {
            return Err(Error::invalid(
                "pixels",
                format!("{} bytes do not fill a {shape} image of {}", pixels.len(), shape.pixel_count()),
            ));
        }
        Ok(Self { shape, pixels })
    }

    /// Its shape.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Its bytes, 0 = paper, 255 = ink.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Pixels in `[0, 1]`.
    pub fn unit_pixels(&self) -> impl Iterator<Item = f64> + '_ {
        self.pixels.iter().map(|&pixel| f64::from(pixel) / 255.0)
    }

    /// `Ok` when the image has this shape.
    pub fn expect_shape(&self, expected: ImageShape) -> Result<()> {
        if self.shape == expected { Ok(()) } else { Err(Error::image_shape(self.shape, expected)) }
    }
}

/// Images of one shape, packed one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBatch {
    shape: ImageShape,
    pixels: Vec<u8>,
}

impl ImageBatch {
    /// Checks that the bytes are a whole number of images. An empty batch is allowed.
    pub fn new(shape: ImageShape, pixels: Vec<u8>) -> Result<Self> {
        if !pixels.len().is_multiple_of(shape.pixel_count()) {
            return Err(Error::invalid(
                "pixels",
                format!("{} bytes are not a whole number of {shape} images", pixels.len()),
            ));
        }
        Ok(Self { shape, pixels })
    }

    /// A batch without images.
    pub fn empty(shape: ImageShape) -> Self {
        Self { shape, pixels: Vec::new() }
    }

    /// Packs images. All must have `shape`.
    pub fn from_images<'a>(shape: ImageShape, images: impl IntoIterator<Item = &'a Image>) -> Result<Self> {
        let mut batch = Self::empty(shape);
        for image in images {
            batch.push(image)?;
        }
        Ok(batch)
    }

    /// Appends one image.
    pub fn push(&mut self, image: &Image) -> Result<()> {
        image.expect_shape(self.shape)?;
        self.pixels.extend_from_slice(image.pixels());
        Ok(())
    }

    /// Appends all of another batch.
    pub fn extend(&mut self, other: &ImageBatch) -> Result<()> {
        if self.shape != other.shape {
            return Err(Error::image_shape(other.shape, self.shape));
        }
        self.pixels.extend_from_slice(&other.pixels);
        Ok(())
    }

    /// The shape that all images share.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.shape.pixel_count()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// All bytes, image after image.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The bytes of image `index`, if it is there.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let size = self.shape.pixel_count();
        self.pixels.get(index.checked_mul(size)?..(index + 1).checked_mul(size)?)
    }

    /// Image `index` on its own, if it is there.
    pub fn image(&self, index: usize) -> Option<Image> {
        self.get(index).map(|pixels| Image { shape: self.shape, pixels: pixels.into() })
    }

    /// Images `start..end`, clipped to what is there.
    pub fn slice(&self, start: usize, end: usize) -> ImageBatch {
        let end = end.min(self.len());
        let start = start.min(end);
        let size = self.shape.pixel_count();
        Self { shape: self.shape, pixels: self.pixels[start * size..end * size].to_vec() }
    }

    /// The bytes of each image in turn.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pixels.chunks_exact(self.shape.pixel_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_must_fill_the_shape() {
        assert!(Image::new(ImageShape::gray(2, 2), vec![0; 3]).is_err());
        assert!(ImageBatch::new(ImageShape::gray(2, 2), vec![0; 7]).is_err());
        assert_eq!(ImageBatch::new(ImageShape::gray(2, 2), vec![0; 8]).unwrap().len(), 2);
    }

    #[test]
    fn a_shape_that_overflows_is_refused() {
        assert!(ImageShape::new(usize::MAX, 2, 2).is_err());
        assert!(ImageShape::new(1, 0, 2).is_err());
    }
}
