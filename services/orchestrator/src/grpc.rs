//! The public faces: each RPC is parse, ask, present.

pub mod explanations;
