//! The student service: distills a linear classifier from soft labels, and says how far to trust it.
//! Stateless and deterministic: the same neighbors give the same bytes.

mod adam;
pub mod control;
pub mod distillation;
mod lbfgs;
mod objective;
mod ridge;

pub use distillation::{Distillation, Distiller, FitProgress};
