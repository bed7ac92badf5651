//! The page: three linked views over one explanation. A library, so that its pure halves are tested
//! on the host; `main.rs` only starts it.

pub mod api;
pub mod app;
pub mod components;
pub mod export;
pub mod header;
pub mod hooks;
pub mod plots;
pub mod route;
pub mod state;
pub mod views;
