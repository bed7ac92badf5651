//! The plot's twin for those who cannot see it: one row an axis.

use std::rc::Rc;

use domain::LatentRange;
use yew::prelude::*;

use super::bands;
use crate::components::format::signed;

/// What to tell.
#[derive(Properties, PartialEq)]
pub(super) struct LatentTableProps {
    /// Where the handles are.
    pub(super) center: Rc<Vec<f32>>,
    /// Where the image lies.
    pub(super) mean: Rc<Vec<f32>>,
    /// Of bands without a range.
    pub(super) radius: f32,
    /// Bands of single axes.
    pub(super) ranges: Rc<Vec<LatentRange>>,
}

/// A table that is spoken, not shown.
#[component]
pub(super) fn LatentTable(props: &LatentTableProps) -> Html {
    let row = |(dimension, (&center, &mean)): (usize, (&f32, &f32))| {
        let band = bands::band(dimension, &props.center, props.radius, &props.ranges);
        let cell = |value: f32| html! { <td>{ signed(f64::from(value)) }</td> };
        html! {
            <tr>
                <th scope="row">{ format!("z{dimension}") }</th>
                { cell(mean) }{ cell(center) }{ cell(band.low) }{ cell(band.high) }
            </tr>
        }
    };
    html! {
        <table class="visually-hidden">
            <caption>{ "Latent space in standard deviations of the prior" }</caption>
            <thead>
                <tr>
                    <th scope="col">{ "axis" }</th>
                    <th scope="col">{ "image" }</th>
                    <th scope="col">{ "handle" }</th>
                    <th scope="col">{ "band from" }</th>
                    <th scope="col">{ "band to" }</th>
                </tr>
            </thead>
            <tbody>
                for item in props.center.iter().zip(props.mean.iter()).enumerate() {
                    { row(item) }
                }
            </tbody>
        </table>
    }
}
