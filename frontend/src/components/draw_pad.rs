//! Paper to draw a digit on with mouse, finger or pen.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlCanvasElement};
use yew::prelude::*;

use super::drawing::InkPicture;
use crate::plots::canvas;

/// Side of the paper in canvas pixels.
const SIDE: u32 = 224;
/// Width of the pen: two pixels of a 28-pixel digit.
const PEN: f64 = 17.0;

/// What to do with the drawing.
#[derive(Properties, PartialEq)]
pub struct DrawPadProps {
    /// After each stroke and when it was cleared: the picture, or nothing on blank paper.
    pub on_picture: Callback<Option<InkPicture>>,
}

/// The paper and a button that clears it.
#[component]
pub fn DrawPad(props: &DrawPadProps) -> Html {
    let node = use_node_ref();
    let last = use_mut_ref(|| None::<(f64, f64)>);
    let on_down = {
        let (node, last) = (node.clone(), last.clone());
        Callback::from(move |event: PointerEvent| {
            event.prevent_default();
            if let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) {
                // Without capture a stroke ends at the paper's edge, which is fine.
                let _ = target.set_pointer_capture(event.pointer_id());
            }
            let point = place(&node, &event);
            *last.borrow_mut() = point;
            if let Some(point) = point {
                stroke(&node, point, point);
            }
        })
    };
    let on_move = {
        let (node, last) = (node.clone(), last.clone());
        Callback::from(move |event: PointerEvent| {
            let mut last = last.borrow_mut();
            if let (Some(from), Some(to)) = (*last, place(&node, &event)) {
                stroke(&node, from, to);
                *last = Some(to);
            }
        })
    };
    let on_up = {
        let (node, last, on_picture) = (node.clone(), last.clone(), props.on_picture.clone());
        Callback::from(move |_: PointerEvent| {
            if last.borrow_mut().take().is_some() {
                on_picture.emit(read(&node).filter(|picture| !picture.is_blank()));
            }
        })
    };
    let on_clear = {
        let (node, on_picture) = (node.clone(), props.on_picture.clone());
        Callback::from(move |_: MouseEvent| {
            if let Some(context) = node.cast::<HtmlCanvasElement>().and_then(|canvas| canvas::context(&canvas)) {
                context.clear_rect(0.0, 0.0, f64::from(SIDE), f64::from(SIDE));
            }
            on_picture.emit(None);
        })
    };
    html! {
        <div class="draw-pad">
            <canvas ref={node} width={SIDE.to_string()} height={SIDE.to_string()} role="img"
                aria-label="Paper to draw a digit on; a PNG file can be chosen instead"
                onpointerdown={on_down} onpointermove={on_move} onpointerup={on_up.clone()} onpointercancel={on_up} />
            <button class="link" type="button" onclick={on_clear}>{ "Clear" }</button>
        </div>
    }
}

fn place(node: &NodeRef, event: &PointerEvent) -> Option<(f64, f64)> {
    let bounds = node.cast::<Element>()?.get_bounding_client_rect();
    let scale = f64::from(SIDE) / bounds.width().max(1.0);
    Some(((f64::from(event.client_x()) - bounds.left()) * scale, (f64::from(event.client_y()) - bounds.top()) * scale))
}

fn stroke(node: &NodeRef, from: (f64, f64), to: (f64, f64)) {
    let Some(context) = node.cast::<HtmlCanvasElement>().and_then(|canvas| canvas::context(&canvas)) else { return };
    context.set_line_width(PEN);
    context.set_line_cap("round");
    context.set_stroke_style_str("#000");
    context.begin_path();
    context.move_to(from.0, from.1);
    context.line_to(to.0, to.1 + 0.01);
    context.stroke();
}

fn read(node: &NodeRef) -> Option<InkPicture> {
    let context = canvas::context(&node.cast::<HtmlCanvasElement>()?)?;
    let side = f64::from(SIDE);
    let data = context.get_image_data(0.0, 0.0, side, side).ok()?;
    InkPicture::from_rgba(SIDE as usize, SIDE as usize, &data.data())
}
