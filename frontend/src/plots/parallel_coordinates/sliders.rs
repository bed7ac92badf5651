//! Handles of the image's line and ends of the bands: each a slider for pointer and keyboard. One
//! axis at a time takes part in the tab order; left and right change the axis.

use std::rc::Rc;

use domain::LatentRange;
use wasm_bindgen::JsCast;
use web_sys::Element;
use yew::prelude::*;

use super::{
    bands::{self, End},
    layout::{Axes, FARTHEST},
};
use crate::components::{focus::focus_within, format::signed};

/// What a slider moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Handle,
    Band(End),
}

impl Part {
    const ALL: [Self; 3] = [Self::Band(End::High), Self::Handle, Self::Band(End::Low)];

    fn key(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::Band(End::Low) => "low",
            Self::Band(End::High) => "high",
        }
    }
}

/// What to draw.
#[derive(Properties, PartialEq)]
pub(super) struct SlidersProps {
    /// Where things lie.
    pub(super) axes: Axes,
    /// Where the handles are.
    pub(super) center: Rc<Vec<f32>>,
    /// Of bands without a range.
    pub(super) radius: f32,
    /// Bands of single axes.
    pub(super) ranges: Rc<Vec<LatentRange>>,
    /// The pointer's height in the drawing.
    pub(super) height_of: Callback<PointerEvent, f64>,
    /// A drag began or ended.
    pub(super) on_drag: Callback<bool>,
    /// A handle was moved.
    pub(super) on_center: Callback<Vec<f32>>,
    /// A band was moved.
    pub(super) on_ranges: Callback<Vec<LatentRange>>,
}

/// Three sliders an axis.
#[component]
pub(super) fn Sliders(props: &SlidersProps) -> Html {
    let group = use_node_ref();
    let active = use_state_eq(|| 0usize);
    let held = use_mut_ref(|| None::<(usize, Part)>);
    let axes = props.axes;
    let stop = (*active).min(axes.dimension_count.saturating_sub(1));

    let set = {
        let (center, radius, ranges) = (props.center.clone(), props.radius, props.ranges.clone());
        let (on_center, on_ranges) = (props.on_center.clone(), props.on_ranges.clone());
        Callback::from(move |(dimension, part, value): (usize, Part, f32)| match part {
            Part::Handle => {
                let mut moved = (*center).clone();
                if let Some(coordinate) = moved.get_mut(dimension) {
                    *coordinate = value.clamp(-FARTHEST, FARTHEST);
                    on_center.emit(moved);
                }
            }
            Part::Band(end) => {
                let band = bands::band(dimension, &center, radius, &ranges);
                on_ranges.emit(bands::with_end(&ranges, band, end, value));
            }
        })
    };
    let slider = |dimension: usize, part: Part| {
        let band = bands::band(dimension, &props.center, props.radius, &props.ranges);
        let own_range = props.ranges.iter().any(|range| range.dimension == dimension);
        let value = match part {
            Part::Handle => props.center.get(dimension).copied().unwrap_or(0.0),
            Part::Band(End::Low) => band.low,
            Part::Band(End::High) => band.high,
        };
        let (name, spoken) = match part {
            Part::Handle => (format!("z{dimension} of the image"), signed(f64::from(value))),
            Part::Band(end) => {
                let which = if end == End::Low { "lower" } else { "upper" };
                let whole = format!("band {} to {}", signed(f64::from(band.low)), signed(f64::from(band.high)));
                (format!("z{dimension}, {which} end of the band"), format!("{}, {whole}", signed(f64::from(value))))
            }
        };
        let on_down = {
            let (held, active, on_drag) = (held.clone(), active.clone(), props.on_drag.clone());
            Callback::from(move |event: PointerEvent| {
                event.stop_propagation();
                if let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) {
                    // The current target is the page's root, where Yew listens. Without capture the drag
                    // still works while the pointer stays over the handle.
                    let _ = target.set_pointer_capture(event.pointer_id());
                }
                *held.borrow_mut() = Some((dimension, part));
                active.set(dimension);
                on_drag.emit(true);
            })
        };
        let on_move = {
            let (held, set, height_of) = (held.clone(), set.clone(), props.height_of.clone());
            Callback::from(move |event: PointerEvent| {
                if *held.borrow() == Some((dimension, part)) {
                    set.emit((dimension, part, axes.value(height_of.emit(event))));
                }
            })
        };
        let on_up = {
            let (held, on_drag) = (held.clone(), props.on_drag.clone());
            Callback::from(move |_: PointerEvent| {
                if held.borrow_mut().take().is_some() {
                    on_drag.emit(false);
                }
            })
        };
        let on_key = {
            let (set, group, active) = (set.clone(), group.clone(), active.clone());
            let (on_ranges, ranges) = (props.on_ranges.clone(), props.ranges.clone());
            Callback::from(move |event: KeyboardEvent| {
                let next_axis = match event.key().as_str() {
                    "ArrowLeft" => dimension.checked_sub(1),
                    "ArrowRight" => Some(dimension + 1).filter(|&next| next < axes.dimension_count),
                    "Home" => Some(0),
                    "End" => Some(axes.dimension_count - 1),
                    _ => None,
                };
                if let Some(step) = bands::key_step(&event.key(), event.shift_key()) {
                    event.prevent_default();
                    set.emit((dimension, part, value + step));
                } else if let Some(next) = next_axis {
                    event.prevent_default();
                    active.set(next);
                    focus_within(&group, &format!("[data-slider='{next}-{}']", part.key()));
                } else if part != Part::Handle && matches!(event.key().as_str(), "Delete" | "Backspace") {
                    event.prevent_default();
                    on_ranges.emit(bands::without(&ranges, dimension));
                }
            })
        };
        let on_double_click = {
            let (on_ranges, ranges) = (props.on_ranges.clone(), props.ranges.clone());
            Callback::from(move |_: MouseEvent| {
                if part != Part::Handle {
                    on_ranges.emit(bands::without(&ranges, dimension));
                }
            })
        };
        let (x, y) = (axes.x(dimension), axes.clamped_y(value));
        let shape = match part {
            Part::Handle => html! { <><circle class="grip" r="12" /><circle class="knob" r="5.5" /></> },
            Part::Band(_) => html! {
                <><rect class="grip" x="-12" y="-7" width="24" height="14" />
                <rect class="knob" x="-7" y="-2" width="14" height="4" rx="2" /></>
            },
        };
        let class = classes!(
            "slider",
            if part == Part::Handle { "is-handle" } else { "is-band-end" },
            own_range.then_some("is-own")
        );
        html! {
            <g key={format!("{dimension}-{}", part.key())} {class} role="slider" aria-orientation="vertical"
                tabindex={if dimension == stop { "0" } else { "-1" }}
                data-slider={format!("{dimension}-{}", part.key())}
                aria-label={name} aria-valuemin={(-FARTHEST).to_string()} aria-valuemax={FARTHEST.to_string()}
                aria-valuenow={format!("{value:.2}")} aria-valuetext={spoken}
                transform={format!("translate({x:.1} {y:.1})")}
                onpointerdown={on_down} onpointermove={on_move} onpointerup={on_up.clone()} onpointercancel={on_up}
                onkeydown={on_key} ondblclick={on_double_click}
            >{ shape }</g>
        }
    };
    html! {
        <g ref={group.clone()} class="sliders">
            for dimension in 0..props.center.len() {
                { band_rect(props, dimension) }
            }
            for dimension in 0..props.center.len() {
                for part in Part::ALL {
                    { slider(dimension, part) }
                }
            }
        </g>
    }
}

fn band_rect(props: &SlidersProps, dimension: usize) -> Html {
    let band = bands::band(dimension, &props.center, props.radius, &props.ranges);
    let own = props.ranges.iter().any(|range| range.dimension == dimension);
    let (top, bottom) = (props.axes.clamped_y(band.high), props.axes.clamped_y(band.low));
    html! {
        <rect class={classes!("band", own.then_some("is-own"))} aria-hidden="true"
            x={(props.axes.x(dimension) - 5.0).to_string()} y={top.to_string()}
            width="10" height={(bottom - top).max(1.0).to_string()} rx="3" />
    }
}
