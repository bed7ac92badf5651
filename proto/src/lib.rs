//! The wire: generated messages and services (`raw`), and their conversions from and into `domain`.
//! Conversions exist once, for servers, clients and the page.

pub mod attributions;
pub mod catalog;
pub mod explanation;
pub mod fields;
pub mod raw;
pub mod recipes;
pub mod rpc;
pub mod specs;
pub mod status;
pub mod students;
pub mod types;
