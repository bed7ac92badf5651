//! One signed map on the diverging scale, with the outline of the image's ink over it if wanted.

use domain::{Heatmap, Image};
use yew::prelude::*;

use super::{canvas, raster};
use crate::components::shared::Shared;

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct HeatmapImageProps {
    /// The map.
    pub heatmap: Shared<Heatmap>,
    /// Value at the ends of the scale; the same for all maps that stand side by side.
    pub limit: f32,
    /// The image whose ink is outlined.
    #[prop_or_default]
    pub ink: Option<Image>,
    /// What a reader who cannot see it is told.
    pub alt: AttrValue,
    /// Size and frame.
    #[prop_or_default]
    pub class: Classes,
}

/// A canvas with an SVG outline above it.
#[component]
pub fn HeatmapImage(props: &HeatmapImageProps) -> Html {
    let node = use_node_ref();
    {
        let node = node.clone();
        use_effect_with((props.heatmap.clone(), props.limit), move |(heatmap, limit)| {
            let shape = heatmap.shape();
            canvas::put_rgba(&node, shape.width, shape.height, &raster::heatmap_rgba(heatmap, *limit));
        });
    }
    let path = use_memo(props.ink.clone(), |ink| ink.as_ref().map(raster::outline_path));
    let shape = props.heatmap.shape();
    let outline = path.as_ref().clone().map(|path| {
        html! {
            <svg class="outline" viewBox={format!("0 0 {} {}", shape.width, shape.height)} aria-hidden="true">
                <path d={path} />
            </svg>
        }
    });
    html! {
        <span class={classes!("heatmap", props.class.clone())} role="img" aria-label={props.alt.clone()}>
            <canvas ref={node} class="pixels" aria-hidden="true" />
            { outline }
        </span>
    }
}
