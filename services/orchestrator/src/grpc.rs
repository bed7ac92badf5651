//! The public faces: each RPC is parse, ask, present.

pub mod catalog;
pub mod explanations;
mod fingerprint;
pub mod operations;
