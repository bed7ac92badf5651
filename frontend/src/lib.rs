//! The page: three linked views over one explanation. A library, so that its pure halves are tested
//! on the host; `main.rs` only starts it.

pub mod components;
pub mod plots;
pub mod views;
