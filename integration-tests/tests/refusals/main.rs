//! Malformed, oversized, NaN, wrong-shape and empty inputs, on every public call: each gets its typed error
//! with all wrong fields at once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use integration_tests::{api::own_image, known::random_image};
use proto::raw::deeper::{
    explanation::v1::{self as raw, instance::Source, own_image::Data},
    types::v1 as types,
};

/// The failure of a call that must be refused.
macro_rules! refused {
    ($client:expr, $rpc:ident, $request:expr) => {
        integration_tests::Failure::of($client.clone().$rpc($request).await)
    };
}

mod catalog;
mod explanations;
mod images;
mod looks;
mod names;
mod wire;

fn png(bytes: Vec<u8>) -> Option<raw::Instance> {
    let own = raw::OwnImage { data: Some(Data::Png(bytes)), gold_label: None };
    Some(raw::Instance { source: Some(Source::Image(own)) })
}

fn pixels(height: u32, width: u32, pixels: Vec<u8>) -> Option<raw::Instance> {
    let image = types::Image { channels: 1, height, width, pixels };
    let own = raw::OwnImage { data: Some(Data::Pixels(image)), gold_label: None };
    Some(raw::Instance { source: Some(Source::Image(own)) })
}

fn instance() -> Option<raw::Instance> {
    Some(own_image(&random_image(1)))
}
