//! One image, dark ink on light paper, every pixel a square.

use domain::Image;
use yew::prelude::*;

use super::{canvas, raster};

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct PixelImageProps {
    /// The pixels.
    pub image: Image,
    /// What a reader who cannot see it is told; empty for a picture that its neighbors in the text describe.
    #[prop_or_default]
    pub alt: AttrValue,
    /// Size and frame.
    #[prop_or_default]
    pub class: Classes,
}

/// A canvas of the image's own size; the style sheet scales it without smoothing.
#[component]
pub fn PixelImage(props: &PixelImageProps) -> Html {
    let node = use_node_ref();
    {
        let node = node.clone();
        use_effect_with(props.image.clone(), move |image| {
            let shape = image.shape();
            canvas::put_rgba(&node, shape.width, shape.height, &raster::image_rgba(image));
        });
    }
    let hidden = props.alt.is_empty().then_some("true");
    let role = (!props.alt.is_empty()).then_some("img");
    let alt = (!props.alt.is_empty()).then(|| props.alt.clone());
    html! {
        <canvas ref={node} class={classes!("pixels", props.class.clone())} {role} aria-label={alt}
            aria-hidden={hidden} />
    }
}
