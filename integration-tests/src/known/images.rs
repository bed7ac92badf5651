//! A tiny data set: 8×8 images of middling grays, each fifth of which carries a wrong gold label, so that
//! the confusion matrix is known.

use artifacts::{IdxSplit, idx};
use domain::{Image, ImageBatch, ImageShape, Label};

use super::teachers::KnownTeacher;

/// Small enough that a latent space may have one dimension a pixel.
pub const SHAPE: ImageShape = ImageShape::gray(8, 8);
/// Classes of the data set.
pub const LABEL_COUNT: usize = 3;

/// SplitMix64 (Steele, Lea and Flood 2014): numbers from a seed without a dependency.
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// Equal seeds, equal numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Grays between 96 and 160: their neighbors at the default radius never reach black or white, so nothing
/// is clipped and a linear teacher stays linear.
pub fn random_image(seed: u64) -> Image {
    let mut numbers = Numbers::new(seed);
    let pixels: Vec<u8> = (0..SHAPE.pixel_count()).map(|_| 96 + (numbers.unit() * 65.0) as u8).collect();
    Image::new(SHAPE, pixels).expect("the pixels fill the shape")
}

/// All pixels alike.
pub fn gray_image(gray: u8) -> Image {
    Image::new(SHAPE, vec![gray; SHAPE.pixel_count()]).expect("the pixels fill the shape")
}

/// Three names.
pub fn label_names() -> Vec<String> {
    ["circle", "square", "cross"].map(str::to_owned).to_vec()
}

/// A split to learn from and one to be judged on. The gold label is the linear teacher's answer, but for
/// every fifth image, which carries the next label instead.
pub fn dataset_splits() -> Vec<IdxSplit> {
    let teacher = KnownTeacher::linear();
    let split = |id: &str, first_seed: u64, count: u64| {
        let images: Vec<Image> = (0..count).map(|i| random_image(first_seed + i)).collect();
        let gold = |(i, image): (usize, &Image)| {
            let Label(answer) = teacher.answer(image).predicted_label();
            let shift = u32::from(i % 5 == 4);
            ((answer + shift) % LABEL_COUNT as u32) as u8
        };
        let labels: Vec<u8> = images.iter().enumerate().map(gold).collect();
        let packed = ImageBatch::from_images(SHAPE, &images).expect("all images have the shape");
        IdxSplit { id: id.to_owned(), images: idx::encode_images(&packed), labels: idx::encode_labels(&labels) }
    };
    vec![split("train", 1_000, 100), split("t10k", 5_000, 20)]
}

/// Rows less their mean over rows: what is left of weights when a constant over classes may be added to
/// every pixel.
pub fn centered(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let count = rows.len() as f64;
    let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / count;
    let means: Vec<f64> = (0..rows.first().map_or(0, Vec::len)).map(mean).collect();
    rows.iter().map(|row| row.iter().zip(&means).map(|(value, mean)| value - mean).collect()).collect()
}
