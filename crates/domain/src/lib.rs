//! The words and formulas of the product. Nothing here does I/O, reads a clock, starts a thread or
//! looks at the environment: a value comes in, a value goes out, on the server and in the browser.

pub mod attribution;
pub mod catalog;
pub mod confusion_matrix;
pub mod error;
pub mod explanation;
pub mod fidelity;
pub mod heatmap;
pub mod image;
pub mod label;
pub mod linear;
pub mod name;
pub mod neighborhood;
pub mod progress;
pub mod student;

pub use attribution::{Attribution, AttributionMethod, AttributionSpec};
pub use catalog::{
    Architecture, Autoencoder, AutoencoderRecipe, Dataset, Example, ModelState, Split, Teacher, TeacherRecipe,
    TeacherSource,
};
pub use confusion_matrix::ConfusionMatrix;
pub use error::{Error, FieldViolation, Result, Violations};
pub use explanation::{Explanation, ExplanationState, Instance, Neighbor, Reconstruction, Stage};
pub use fidelity::{Fidelity, InstanceFit, Stability, Verdict};
pub use heatmap::Heatmap;
pub use image::{Image, ImageBatch, ImageShape};
pub use label::{Label, Logits, SoftLabels, Temperature};
pub use linear::LinearClassifier;
pub use name::ResourceName;
pub use neighborhood::{Anchoring, Distribution, Latent, LatentRange, NeighborhoodSpec};
pub use progress::{LossCurve, LossPoint, Progress, TrainingPhase};
pub use student::{Solver, Student, StudentSpec};
