//! The teacher's own attributions: which pixels move its answer.

use crate::{
    heatmap::Heatmap,
    label::{Label, SoftLabels},
};

/// How it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttributionMethod {
    /// Fall of the score when a square patch is set to paper, averaged over the patches that cover a
    /// pixel and divided by the ink they hide.
    Occlusion {
        /// Side of the patch in pixels, 1 to the image's smaller side.
        patch_size: u32,
        /// Step between patches, 1 to `patch_size`.
        stride: u32,
    },
    /// Gradient of the score by the input, times the input.
    GradientTimesInput,
}

/// What is attributed: the logit of `target` minus the logit of `baseline` where one is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttributionSpec {
    /// How.
    pub method: AttributionMethod,
    /// The class that is explained.
    pub target: Label,
    /// The class it is contrasted with.
    pub baseline: Option<Label>,
}

/// A signed map: positive pixels speak for the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// What was asked for.
    pub spec: AttributionSpec,
    /// One value a pixel.
    pub heatmap: Heatmap,
    /// What computed it: the served engine for occlusion, its f32 copy for gradients.
    pub engine: String,
    /// The copy's own answer at temperature 1, where its class is not the served engine's.
    pub dissent: Option<SoftLabels>,
}
