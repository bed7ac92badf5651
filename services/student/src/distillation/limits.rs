//! What a distillation may cost: every bound, checked before the first neighbor comes.

use domain::{Image, Label, Logits, NeighborhoodSpec, Result, StudentSpec, Violations};

/// Most pixels of an image.
pub const MAX_PIXEL_COUNT: usize = 16_384;
/// Most labels.
pub const MAX_LABEL_COUNT: usize = 1_000;
/// Most weights of a student: its maps fit into one message of 4 MiB.
pub const MAX_WEIGHT_COUNT: usize = 400_000;
/// Most logits over all neighbors: 16 MB as `f64`.
pub const MAX_LOGIT_COUNT: usize = 2_000_000;
/// Largest absolute logit: with the smallest penalty, weights still fit into the `f32` of a map.
pub const MAX_LOGIT: f32 = 1e6;
/// Largest side of a system that is solved in closed form, in neighbors or pixels, whichever are fewer:
/// some 0.5 GB and a few seconds.
pub const MAX_CLOSED_FORM_SIZE: usize = 3_072;

/// Every wrong field at once.
pub(super) fn check(
    spec: &StudentSpec,
    instance: &Image,
    instance_logits: &Logits,
    contrast_with: Option<Label>,
    neighbor_count: usize,
) -> Result<()> {
    let (pixel_count, label_count) = (instance.shape().pixel_count(), instance_logits.label_count());
    let mut violations = Violations::default();
    violations.take("spec", spec.validate());
    violations.check(pixel_count <= MAX_PIXEL_COUNT, "instance", || {
        format!("{pixel_count} pixels are more than {MAX_PIXEL_COUNT}")
    });
    violations.check((2..=MAX_LABEL_COUNT).contains(&label_count), "instance_logits", || {
        format!("{label_count} labels are not 2 to {MAX_LABEL_COUNT}")
    });
    violations.check(pixel_count.saturating_mul(label_count) <= MAX_WEIGHT_COUNT, "instance_logits", || {
        format!("{label_count} labels × {pixel_count} pixels are more than {MAX_WEIGHT_COUNT} weights")
    });
    check_logits(instance_logits.values(), "instance_logits", &mut violations);
    if let Some(label) = contrast_with {
        let description = || format!("{label} is not below {label_count}");
        violations.check(label.index() < label_count, "contrast_label", description);
    }
    let counts = NeighborhoodSpec::MIN_NEIGHBOR_COUNT..=NeighborhoodSpec::MAX_NEIGHBOR_COUNT;
    violations.check(counts.contains(&neighbor_count), "neighbor_count", || {
        format!("{neighbor_count} is outside {} to {}", counts.start(), counts.end())
    });
    violations.check(neighbor_count.min(pixel_count) <= MAX_CLOSED_FORM_SIZE, "neighbor_count", || {
        format!("{neighbor_count} is more than {MAX_CLOSED_FORM_SIZE}, the most for images of so many pixels")
    });
    violations.check(neighbor_count.saturating_mul(label_count) <= MAX_LOGIT_COUNT, "neighbor_count", || {
        format!("{neighbor_count} neighbors × {label_count} labels are more than {MAX_LOGIT_COUNT} logits")
    });
    violations.finish()
}

/// Notes the first logit that is not a number within ±[`MAX_LOGIT`].
pub(super) fn check_logits(logits: &[f32], field: &str, violations: &mut Violations) {
    // No range contains NaN.
    if let Some(position) = logits.iter().position(|logit| !(-MAX_LOGIT..=MAX_LOGIT).contains(logit)) {
        violations.add(field, format!("value {position} is not a number within ±{MAX_LOGIT}"));
    }
}
