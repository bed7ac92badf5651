//! The teacher's own attributions: which pixels move its answer. Pure over the port; each method says
//! what it asks of the classifier and what it makes of the answers.

pub mod gradient;
pub mod occlusion;
