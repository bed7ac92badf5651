//! The whole system in one process, with models whose answers are known in closed form, for tests that
//! speak to it as users do: over gRPC. And the same system as separate programs, for tests of those.

pub mod api;
pub mod brake;
pub mod cluster;
pub mod collector;
pub mod failure;
pub mod faults;
pub mod known;
pub mod listed;
pub mod load;
pub mod members;
pub mod nginx;
pub mod programs;
pub mod proxy;
pub mod redis;
pub mod replica;
pub mod sandbox;
pub mod small;
pub mod trust;
pub mod users;
pub mod web;
pub mod whole;
pub mod world;

pub use self::{api::Api, failure::Failure, sandbox::Sandbox, world::World};
