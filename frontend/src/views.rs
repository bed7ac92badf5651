//! The three views. They join state to components; what they show is decided by their props alone.

pub mod latent;
pub mod student;
pub mod teacher;
