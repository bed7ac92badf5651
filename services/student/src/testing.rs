//! Small neighborhoods for unit tests, drawn from a seed.

use domain::Temperature;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::distillation::samples::Samples;

/// Random bytes and logits in ±4, with every seventh pixel constant over neighbors (not at the instance).
pub(crate) fn samples(row_count: usize, pixel_count: usize, label_count: usize) -> Samples {
    let mut random = ChaCha8Rng::seed_from_u64((row_count * pixel_count * label_count) as u64);
    let mut byte = || random.next_u32() as u8;
    let instance: Vec<u8> = (0..pixel_count).map(|_| byte()).collect();
    let value = |position: usize, byte: u8| if (position % pixel_count).is_multiple_of(7) { 90 } else { byte };
    let pixels: Vec<u8> = (0..row_count * pixel_count).map(|position| value(position, byte())).collect();
    let mut logit = || f32::from(byte()) / 32.0 - 4.0;
    let instance_logits: Vec<f32> = (0..label_count).map(|_| logit()).collect();
    let logits: Vec<f32> = (0..row_count * label_count).map(|_| logit()).collect();
    Samples::new(&pixels, &logits, &instance, &instance_logits, Temperature::TWO).expect("the pixels vary")
}
