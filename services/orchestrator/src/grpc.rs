//! The public faces: each RPC is parse, ask, present.

pub mod catalog;
pub mod explanations;
pub mod operations;
