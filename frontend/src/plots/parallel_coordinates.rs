//! Latent space as parallel axes: neighbors as lines on a canvas, and above it the image's own line
//! with handles to drag and a band per axis that says where neighbors are drawn.

pub mod bands;
pub mod corner;
pub mod layout;
pub mod lines;
mod sliders;
mod table;

use std::rc::Rc;

use domain::{Label, LatentRange, Neighbor};
use web_sys::Element;
use yew::prelude::*;

use self::{
    layout::{Axes, Scale},
    sliders::Sliders,
    table::LatentTable,
};
use super::{measure::use_size, pixel_image::PixelImage};
use crate::components::{
    chosen::label_name,
    format,
    mark::{MarkedLabel, Role},
    shared::Shared,
};

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct ParallelCoordinatesProps {
    /// The lines.
    pub neighbors: Shared<Vec<Neighbor>>,
    /// One name a label.
    pub names: Rc<Vec<String>>,
    /// The chosen image's true label.
    pub gold: Option<Label>,
    /// The teacher's answer to it.
    pub predicted: Option<Label>,
    /// Where the chosen image lies.
    pub mean: Rc<Vec<f32>>,
    /// Where the handles are: the mean, or what it was dragged to.
    pub center: Rc<Vec<f32>>,
    /// Half width of bands that have no range of their own.
    pub radius: f32,
    /// Bands of single axes.
    pub ranges: Rc<Vec<LatentRange>>,
    /// Whether the axes end where the values do, instead of at ±3.5.
    pub fit: bool,
    /// Draw only neighbors with this answer strongly.
    pub focus: Option<Label>,
    /// Position of the neighbor under the pointer here or in the grid.
    pub hovered: Option<usize>,
    /// The pointer is over another line, or none.
    pub on_hover: Callback<Option<usize>>,
    /// A line was clicked.
    pub on_pick: Callback<usize>,
    /// A handle was moved.
    pub on_center: Callback<Vec<f32>>,
    /// A band was moved or, by Delete, given back to the radius.
    pub on_ranges: Callback<Vec<LatentRange>>,
}

/// Canvas below, interaction above. The scale stands still while something is dragged.
#[component]
pub fn ParallelCoordinates(props: &ParallelCoordinatesProps) -> Html {
    let frame = use_node_ref();
    let canvas = use_node_ref();
    let svg = use_node_ref();
    let size = use_size(&frame);
    let dragging = use_state_eq(|| false);
    let frozen = use_mut_ref(|| None::<Scale>);

    let extent = use_memo((props.neighbors.clone(), props.fit), |(neighbors, fit)| {
        Scale::around(neighbors.iter().flat_map(|neighbor| neighbor.latent.iter().copied()), *fit)
    });
    let handles =
        props.center.iter().chain(props.mean.iter()).flat_map(|&value| [value - props.radius, value + props.radius]);
    let bands = props.ranges.iter().flat_map(|range| [range.low, range.high]);
    let wanted = Scale::around(
        [extent.low, extent.high].map(|end| end * 0.98).into_iter().chain(handles).chain(bands),
        props.fit,
    );
    let scale = match *frozen.borrow() {
        Some(scale) if *dragging => scale,
        _ => wanted,
    };
    *frozen.borrow_mut() = Some(scale);
    let axes = Axes { size, scale, dimension_count: props.center.len().max(1) };

    let drawn = use_memo((props.neighbors.clone(), props.focus), |(neighbors, focus)| lines::lines(neighbors, *focus));
    {
        let canvas = canvas.clone();
        let labels = (props.gold, props.predicted);
        use_effect_with(
            (axes, props.neighbors.clone(), drawn.clone(), labels),
            move |(axes, neighbors, drawn, labels)| {
                if axes.size.width > 0.0 {
                    lines::draw(&canvas, axes, neighbors, drawn, *labels);
                }
            },
        );
    }

    let line_at = {
        let (svg, neighbors, focus) = (svg.clone(), props.neighbors.clone(), props.focus);
        move |event: &PointerEvent| {
            let (x, y) = place(&svg, event)?;
            let drawn =
                |index: usize| focus.is_none_or(|focus| neighbors[index].soft_labels.predicted_label() == focus);
            axes.line_at(x, y, &neighbors, drawn)
        }
    };
    let on_pointer_move = {
        let (line_at, on_hover, hovered, dragging) =
            (line_at.clone(), props.on_hover.clone(), props.hovered, *dragging);
        Callback::from(move |event: PointerEvent| {
            let found = if dragging { None } else { line_at(&event) };
            if found != hovered {
                on_hover.emit(found);
            }
        })
    };
    let on_click = {
        let on_pick = props.on_pick.clone();
        Callback::from(move |event: PointerEvent| {
            if let Some(found) = line_at(&event) {
                on_pick.emit(found);
            }
        })
    };
    let on_leave = props.on_hover.reform(|_: PointerEvent| None);
    let height_of = {
        let svg = svg.clone();
        Callback::from(move |event: PointerEvent| place(&svg, &event).map_or(0.0, |(_, y)| y))
    };
    let moved = (*props.center != *props.mean).then(|| axes.points(&props.mean));

    html! {
        <div class="parallel" ref={frame}>
            <canvas ref={canvas} aria-hidden="true" />
            if size.width > 0.0 {
                <svg ref={svg} width={size.width.to_string()} height={size.height.to_string()} role="group"
                    aria-label="Latent space: one axis a dimension, in standard deviations of the prior">
                    { ticks(&axes) }
                    // The background catches the pointer wherever no slider does.
                    <rect class="parallel-ground" width="100%" height="100%" onpointermove={on_pointer_move}
                        onpointerdown={on_click} onpointerleave={on_leave} />
                    if let Some(points) = moved {
                        <polyline class="parallel-mean" {points} />
                    }
                    if let Some(neighbor) = props.hovered.and_then(|index| props.neighbors.get(index)) {
                        <polyline class="parallel-hovered" points={axes.points(&neighbor.latent)} />
                    }
                    <polyline class="parallel-own" points={axes.points(&props.center)} />
                    <Sliders {axes} center={props.center.clone()} radius={props.radius} ranges={props.ranges.clone()}
                        {height_of} on_drag={move |on| dragging.set(on)}
                        on_center={props.on_center.clone()} on_ranges={props.on_ranges.clone()} />
                </svg>
            }
            <LatentTable center={props.center.clone()} mean={props.mean.clone()} radius={props.radius}
                ranges={props.ranges.clone()} />
            { tooltip(props) }
        </div>
    }
}

/// The pointer in the drawing's own pixels.
fn place(svg: &NodeRef, event: &PointerEvent) -> Option<(f64, f64)> {
    let bounds = svg.cast::<Element>()?.get_bounding_client_rect();
    Some((f64::from(event.client_x()) - bounds.left(), f64::from(event.client_y()) - bounds.top()))
}

fn ticks(axes: &Axes) -> Html {
    let step = axes.name_step();
    let (left, right) = (axes.x(0).to_string(), axes.x(axes.dimension_count - 1).to_string());
    html! {
        <g class="parallel-axes" aria-hidden="true">
            for tick in axes.scale.ticks() {
                <line class={if tick == 0 { "is-zero" } else { "" }} x1={left.clone()} x2={right.clone()}
                    y1={axes.y(tick as f32).to_string()} y2={axes.y(tick as f32).to_string()} />
                <text class="tick" x={(axes.x(0) - 13.0).to_string()} y={(axes.y(tick as f32) + 3.5).to_string()}>
                    { tick.to_string().replace('-', "\u{2212}") }
                </text>
            }
            for dimension in 0..axes.dimension_count {
                <line class="axis" x1={axes.x(dimension).to_string()} x2={axes.x(dimension).to_string()}
                    y1={axes.top().to_string()} y2={axes.bottom().to_string()} />
                if dimension % step == 0 {
                    <text class="name" x={axes.x(dimension).to_string()} y={(axes.top() - 11.0).to_string()}>
                        { format!("z{dimension}") }
                    </text>
                }
            }
        </g>
    }
}

/// Over the line it speaks of, out of the flow: nothing moves when it comes.
fn tooltip(props: &ParallelCoordinatesProps) -> Html {
    let Some(neighbor) = props.hovered.and_then(|index| props.neighbors.get(index)) else { return Html::default() };
    let label = neighbor.soft_labels.predicted_label();
    let role = Role::of(label, props.gold, props.predicted);
    // The best corner is left to the picture of the dragged point.
    let side = corner::freest(&props.center)[1].class();
    html! {
        <div class={classes!("tooltip", side)} aria-hidden="true">
            if let Some(image) = &neighbor.image {
                <PixelImage image={image.clone()} />
            }
            <span>
                { format!("Neighbor {}", format::count(neighbor.index + 1)) }<br />
                <MarkedLabel {role} name={label_name(&props.names, label)} />
                { format!(" {}", format::short_percent(neighbor.soft_labels.confidence())) }
            </span>
        </div>
    }
}
