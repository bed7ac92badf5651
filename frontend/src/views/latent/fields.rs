//! The boxes of the neighborhood's form: what each says, what it reads from a draft and what a new value does.
//! Pure.

use domain::{Anchoring, Distribution, NeighborhoodSpec};

use crate::components::{
    draft_boxes::{ChoiceField, NumberField},
    number_box::NumberRange,
};

/// How many.
pub(super) const COUNT: NumberField<NeighborhoodSpec> = NumberField {
    id: "neighbor-count",
    label: "Neighbors",
    help: "How many images are made around this one; more is slower and steadier",
    range: NumberRange::whole(NeighborhoodSpec::MIN_NEIGHBOR_COUNT as f64, NeighborhoodSpec::MAX_NEIGHBOR_COUNT as f64),
    get: |spec| Some(spec.neighbor_count as f64),
    set: |spec, value| spec.neighbor_count = value as usize,
};

/// How far away.
pub(super) const RADIUS: NumberField<NeighborhoodSpec> = NumberField {
    id: "radius",
    label: "Radius",
    help: "How far from the image, in standard deviations of the latent space; small is more alike",
    range: NumberRange::above(0.0, NeighborhoodSpec::MAX_RADIUS as f64),
    get: |spec| Some(narrow(spec.radius)),
    set: |spec, value| spec.radius = value as f32,
};

/// How they are spread.
pub(super) const SHAPE: ChoiceField<NeighborhoodSpec, Distribution> = ChoiceField {
    id: "shape",
    label: "Shape",
    help: "Uniform: anywhere within the radius. Gaussian: mostly near, some farther",
    options: &[(Distribution::Uniform, "Uniform"), (Distribution::Gaussian, "Gaussian")],
    get: |spec| spec.distribution,
    set: |spec, distribution| spec.distribution = distribution,
};

/// Which draw.
pub(super) const SEED: NumberField<NeighborhoodSpec> = NumberField {
    id: "seed",
    label: "Seed",
    help: "Another number draws other neighbors; the same one draws the same",
    range: NumberRange::SEED,
    get: |spec| Some(spec.seed as f64),
    set: |spec, value| spec.seed = value as u64,
};

/// What they have in common with the image.
pub(super) const ANCHORED: ChoiceField<NeighborhoodSpec, Anchoring> = ChoiceField {
    id: "anchored",
    label: "Anchored",
    help: "Yes: neighbors keep what the autoencoder leaves out of this image, so they surround the image itself",
    options: &[(Anchoring::Residual, "yes"), (Anchoring::None, "no")],
    get: |spec| spec.anchoring,
    set: |spec, anchoring| spec.anchoring = anchoring,
};

/// An `f32` as the shortest number that people typed, not as its binary expansion.
fn narrow(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::draft_boxes::check_fields;

    #[test]
    fn the_boxes_allow_what_the_server_allows_and_no_more() {
        check_fields(&[&COUNT, &RADIUS, &SEED], &NeighborhoodSpec::default(), |spec| spec.validate(None).is_ok());
    }

    #[test]
    fn a_radius_reads_as_it_was_typed() {
        assert_eq!(narrow(0.1), 0.1);
        assert_eq!(narrow(0.375), 0.375);
    }
}
