//! Occlusion: how far the score falls when a square of the image is set to paper, per ink hidden.
//! Plans the occluded images and reads the answers; who asks for them, and on which engine, is open.

use domain::{Error, Heatmap, Image, ImageBatch, ImageShape, Logits, Result, Violations};

use crate::teacher::Contrast;

/// Most occluded images of one attribution: a larger stride or patch gives fewer.
pub const MAX_WINDOW_COUNT: usize = 10_000;

/// Mean ink under a pixel's windows below which the effect is not scaled up any further, in units of
/// one full pixel (a dozen of 255 gray levels). Rounding noise of a bf16 engine divided by a trace of
/// ink would outshine every real effect.
const FAINT_INK: f64 = 0.05;

/// A square of the image that hides some ink.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    top: usize,
    left: usize,
    /// Sum of the pixels it hides, in `[0, 1]` each.
    ink: f64,
}

/// The windows of one image that hide any ink. One that hides none has no effect by definition.
#[derive(Debug, Clone)]
pub struct Occlusion {
    image: Image,
    patch_size: usize,
    windows: Vec<Window>,
}

impl Occlusion {
    /// Lays windows over the image. `patch_size` is 1 to the smaller side, `stride` 1 to `patch_size`;
    /// the last window of a row or column is moved in so that every pixel is covered.
    pub fn plan(image: &Image, patch_size: u32, stride: u32) -> Result<Self> {
        let ImageShape { height, width, .. } = image.shape();
        let (patch, step) = (patch_size as usize, stride as usize);
        let mut violations = Violations::default();
        violations.check((1..=height.min(width)).contains(&patch), "patch_size", || {
            format!("{patch_size} is outside 1 to {}", height.min(width))
        });
        violations.check((1..=patch.max(1)).contains(&step), "stride", || {
            format!("{stride} is outside 1 to the patch size {patch_size}")
        });
        violations.finish()?;
        let (tops, lefts) = (offsets(height, patch, step), offsets(width, patch, step));
        if tops.len() * lefts.len() > MAX_WINDOW_COUNT {
            let count = tops.len() * lefts.len();
            return Err(Error::invalid("stride", format!("gives {count} windows, at most {MAX_WINDOW_COUNT}")));
        }
        let all = tops.iter().flat_map(|&top| lefts.iter().map(move |&left| (top, left)));
        let windows = all
            .map(|(top, left)| Window { top, left, ink: hidden_ink(image, top, left, patch) })
            .filter(|window| window.ink > 0.0)
            .collect();
        Ok(Self { image: image.clone(), patch_size: patch, windows })
    }

    /// Images to ask for: the whole one, and one a window.
    pub fn image_count(&self) -> usize {
        1 + self.windows.len()
    }

    /// The images to ask for, `batch_size` at a time, each made when it is taken: first the whole one,
    /// then the occluded ones.
    pub fn batches(&self, batch_size: usize) -> impl Iterator<Item = ImageBatch> + Send + '_ {
        let batch_size = batch_size.max(1);
        (0..self.image_count()).step_by(batch_size).map(move |start| {
            let count = batch_size.min(self.image_count() - start);
            let mut pixels = Vec::with_capacity(count * self.image.pixels().len());
            for index in start..start + count {
                self.push(index, &mut pixels);
            }
            ImageBatch::new(self.image.shape(), pixels).expect("whole images were packed")
        })
    }

    fn push(&self, index: usize, pixels: &mut Vec<u8>) {
        let start = pixels.len();
        pixels.extend_from_slice(self.image.pixels());
        let window = index.checked_sub(1).and_then(|index| self.windows.get(index));
        if let Some(window) = window {
            for index in covered(self.image.shape(), window.top, window.left, self.patch_size) {
                pixels[start + index] = 0;
            }
        }
    }

    /// Reads the answers, in the order of [`Occlusion::batches`]: at each pixel, the mean effect of the
    /// windows that cover it over the mean ink that they hide. 0 where no window has ink.
    pub fn heatmap(&self, contrast: Contrast, answers: &[Logits]) -> Result<Heatmap> {
        let (whole, occluded) = match answers.split_first() {
            Some((whole, occluded)) if occluded.len() == self.windows.len() => (whole, occluded),
            _ => {
                let (got, want) = (answers.len(), self.image_count());
                return Err(Error::unexpected(format!("{got} answers to {want} images")));
            }
        };
        let shape = self.image.shape();
        let score = contrast.score(whole);
        // Per pixel: sum of effects, sum of ink, number of windows.
        let mut sums = vec![(0.0f64, 0.0f64, 0u32); shape.pixel_count()];
        for (window, logits) in self.windows.iter().zip(occluded) {
            let effect = score - contrast.score(logits);
            for index in covered(shape, window.top, window.left, self.patch_size) {
                let (effects, ink, count) = &mut sums[index];
                *effects += effect;
                *ink += window.ink;
                *count += 1;
            }
        }
        let per_ink = |(effects, ink, count): (f64, f64, u32)| match count {
            0 => 0.0,
            _ => (effects / ink.max(FAINT_INK * f64::from(count))) as f32,
        };
        Heatmap::new(shape, sums.into_iter().map(per_ink).collect())
    }
}

/// Where windows start along one side: every `step`, and flush with the end.
fn offsets(side: usize, patch: usize, step: usize) -> Vec<usize> {
    let last = side - patch;
    let mut offsets: Vec<usize> = (0..=last).step_by(step).collect();
    if offsets.last() != Some(&last) {
        offsets.push(last);
    }
    offsets
}

/// Indices of the pixels under a window, in every channel.
fn covered(shape: ImageShape, top: usize, left: usize, patch: usize) -> impl Iterator<Item = usize> {
    let ImageShape { channels, height, width } = shape;
    let row = move |channel: usize, y: usize| (channel * height + y) * width;
    (0..channels).flat_map(move |channel| {
        (top..top + patch).flat_map(move |y| (left..left + patch).map(move |x| row(channel, y) + x))
    })
}

fn hidden_ink(image: &Image, top: usize, left: usize, patch: usize) -> f64 {
    covered(image.shape(), top, left, patch).map(|index| f64::from(image.pixels()[index]) / 255.0).sum()
}

#[cfg(test)]
mod tests {
    use domain::Label;
    use proptest::prelude::*;

    use super::*;
    use crate::{known::LinearTeacher, teacher::Classifier};

    const SHAPE: ImageShape = ImageShape::gray(6, 5);
    const CONTRAST: Contrast = Contrast { target: Label(1), baseline: Some(Label(0)) };

    fn attribute(teacher: &LinearTeacher, image: &Image, patch: u32, stride: u32) -> Heatmap {
        let occlusion = Occlusion::plan(image, patch, stride).unwrap();
        let answers: Vec<Logits> = occlusion.batches(7).flat_map(|batch| teacher.logits(&batch).unwrap()).collect();
        occlusion.heatmap(CONTRAST, &answers).unwrap()
    }

    proptest! {
        /// On W x + b one pixel's effect is its weight times its ink, so per ink it is the weight.
        #[test]
        fn a_patch_of_one_pixel_finds_the_weights_of_a_linear_teacher(
            weights in prop::collection::vec(-3f64..3.0, 60), pixels in prop::collection::vec(13u8..=255, 30),
        ) {
            let teacher = LinearTeacher::new(SHAPE, vec![weights[..30].to_vec(), weights[30..].to_vec()]);
            let image = Image::new(SHAPE, pixels).unwrap();
            let map = attribute(&teacher, &image, 1, 1);
            for (index, &value) in map.values().iter().enumerate() {
                let weight = weights[30 + index] - weights[index];
                prop_assert!((f64::from(value) - weight).abs() < 1e-3, "{value} is not {weight}");
            }
        }

        /// The oracle is a second way to compute it: sums of weight × ink under each window.
        #[test]
        fn a_larger_patch_averages_weights_by_ink(
            weights in prop::collection::vec(-3f64..3.0, 30), pixels in prop::collection::vec(13u8..=255, 30),
            stride in 1usize..=3,
        ) {
            let teacher = LinearTeacher::new(SHAPE, vec![vec![0.0; 30], weights.clone()]);
            let image = Image::new(SHAPE, pixels.clone()).unwrap();
            let map = attribute(&teacher, &image, 3, stride as u32);
            let starts = |side: usize| (0..=side - 3).filter(move |s| s % stride == 0 || *s == side - 3);
            for y in 0..6 {
                for x in 0..5 {
                    let (mut effect, mut ink) = (0.0, 0.0);
                    for top in starts(6).filter(|top| (*top..top + 3).contains(&y)) {
                        for left in starts(5).filter(|left| (*left..left + 3).contains(&x)) {
                            for index in (0..9).map(|i| (top + i / 3) * 5 + left + i % 3) {
                                effect += weights[index] * f64::from(pixels[index]) / 255.0;
                                ink += f64::from(pixels[index]) / 255.0;
                            }
                        }
                    }
                    prop_assert!((f64::from(map.values()[y * 5 + x]) - effect / ink).abs() < 1e-3);
                }
            }
        }
    }

    #[test]
    fn paper_is_not_asked_about_and_gets_nothing() {
        let mut pixels = vec![0; 30];
        pixels[2 * 5 + 2] = 255;
        let image = Image::new(SHAPE, pixels).unwrap();
        assert_eq!(Occlusion::plan(&image, 3, 1).unwrap().image_count(), 1 + 9);
        let teacher = LinearTeacher::new(SHAPE, vec![vec![0.0; 30], vec![1.0; 30]]);
        let map = attribute(&teacher, &image, 3, 1);
        assert_eq!(map.values()[5 * 5 + 4], 0.0);
        assert!((map.values()[2 * 5 + 2] - 1.0).abs() < 1e-6);
        let blank = Image::new(SHAPE, vec![0; 30]).unwrap();
        assert_eq!(Occlusion::plan(&blank, 3, 1).unwrap().image_count(), 1);
        assert_eq!(attribute(&teacher, &blank, 3, 1).max_abs(), 0.0);
    }

    #[test]
    fn a_trace_of_ink_does_not_blow_up_an_effect() {
        let mut pixels = vec![0; 30];
        pixels[0] = 1;
        let image = Image::new(SHAPE, pixels).unwrap();
        let occlusion = Occlusion::plan(&image, 1, 1).unwrap();
        let answer = |value| Logits::new(vec![0.0, value]).unwrap();
        let map = occlusion.heatmap(CONTRAST, &[answer(0.02), answer(0.0)]).unwrap();
        assert!(map.max_abs() < 0.5, "rounding noise became {}", map.max_abs());
    }

    #[test]
    fn windows_that_do_not_fit_or_are_too_many_are_refused() {
        let image = Image::new(SHAPE, vec![9; 30]).unwrap();
        for (patch, stride) in [(0, 1), (6, 1), (3, 0), (3, 4)] {
            assert!(Occlusion::plan(&image, patch, stride).is_err(), "{patch}, {stride}");
        }
        let large = Image::new(ImageShape::gray(200, 200), vec![9; 40_000]).unwrap();
        assert!(Occlusion::plan(&large, 3, 1).is_err());
    }
}
