//! IDX files, the format of MNIST: a big-endian header and bytes. Checked once, at import, so that
//! nothing later meets a bad size or a label out of range.

use domain::{Error, ImageBatch, ImageShape, Result};

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;

/// Reads a file of gray images.
pub fn images(file: &[u8]) -> Result<ImageBatch> {
    let [magic, count, height, width] = header::<4>(file, "image")?;
    expect_magic(magic, IMAGES_MAGIC, "image")?;
    let shape = ImageShape::new(1, height as usize, width as usize)?;
    let body = &file[16..];
    let expected = (count as usize).checked_mul(shape.pixel_count());
    if expected != Some(body.len()) {
        return Err(Error::invalid(
            "images",
            format!("{count} images of {shape} are announced, {} bytes of pixels follow", body.len()),
        ));
    }
    ImageBatch::new(shape, body.to_vec())
}

/// Reads a file of labels, all of which must be below `label_count`.
pub fn labels(file: &[u8], label_count: usize) -> Result<Vec<u8>> {
    let [magic, count] = header::<2>(file, "label")?;
    expect_magic(magic, LABELS_MAGIC, "label")?;
    let body = &file[8..];
    if count as usize != body.len() {
        return Err(Error::invalid("labels", format!("{count} labels are announced, {} follow", body.len())));
    }
    if let Some(position) = body.iter().position(|&label| usize::from(label) >= label_count) {
        return Err(Error::invalid(
            "labels",
            format!("label {position} is {}, there are {label_count} classes", body[position]),
        ));
    }
    Ok(body.to_vec())
}

fn header<const N: usize>(file: &[u8], what: &str) -> Result<[u32; N]> {
    if file.len() < N * 4 {
        return Err(Error::invalid(format!("{what}s"), format!("{} bytes are too few for an IDX header", file.len())));
    }
    Ok(std::array::from_fn(|i| u32::from_be_bytes([file[i * 4], file[i * 4 + 1], file[i * 4 + 2], file[i * 4 + 3]])))
}

fn expect_magic(got: u32, want: u32, what: &str) -> Result<()> {
    if got == want {
        return Ok(());
    }
    Err(Error::invalid(
        format!("{what}s"),
        format!("magic {got:#010x} is not that of an IDX {what} file ({want:#010x})"),
    ))
}

/// Writes images as an IDX file: for tests and exports.
pub fn encode_images(images: &ImageBatch) -> Vec<u8> {
    let shape = images.shape();
    let mut file = Vec::with_capacity(16 + images.pixels().len());
    for number in [IMAGES_MAGIC, images.len() as u32, shape.height as u32, shape.width as u32] {
        file.extend_from_slice(&number.to_be_bytes());
    }
    file.extend_from_slice(images.pixels());
    file
}

/// Writes labels as an IDX file: for tests and exports.
pub fn encode_labels(labels: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(8 + labels.len());
    for number in [LABELS_MAGIC, labels.len() as u32] {
        file.extend_from_slice(&number.to_be_bytes());
    }
    file.extend_from_slice(labels);
    file
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pixels in prop::collection::vec(any::<u8>(), 0..40)) {
            let whole = pixels.len() / 4 * 4;
            let batch = ImageBatch::new(ImageShape::gray(2, 2), pixels[..whole].to_vec()).unwrap();
            prop_assert_eq!(images(&encode_images(&batch)).unwrap(), batch);
        }

        #[test]
        fn any_bytes_are_read_or_refused(file in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = images(&file);
            let _ = labels(&file, 10);
        }
    }

    #[test]
    fn a_cut_file_and_a_label_out_of_range_are_refused() {
        let batch = ImageBatch::new(ImageShape::gray(2, 2), vec![1; 8]).unwrap();
        let file = encode_images(&batch);
        assert!(images(&file[..file.len() - 1]).is_err());
        assert!(images(&encode_labels(&[1; 20])).is_err());
        assert_eq!(labels(&encode_labels(&[0, 9]), 10).unwrap(), [0, 9]);
        assert!(labels(&encode_labels(&[0, 10]), 10).is_err());
    }

    #[test]
    fn a_header_that_announces_more_than_memory_holds_is_refused() {
        let mut file = encode_images(&ImageBatch::empty(ImageShape::gray(2, 2)));
        file[4..16].fill(0xff);
        assert!(images(&file).is_err());
    }
}
