//! The few calls that touch a canvas. A canvas that is gone or refuses draws nothing: the next
//! render tries again, and every drawing has a twin in text.

use wasm_bindgen::{Clamped, JsCast};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};
use yew::NodeRef;

/// The 2-D context of a canvas that is on the page.
pub fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok().flatten()?.dyn_into().ok()
}

/// Sets the canvas to `width × height` pixels and fills it with RGBA bytes. How large it appears is
/// the style sheet's business.
pub fn put_rgba(node: &NodeRef, width: usize, height: usize, rgba: &[u8]) -> Option<()> {
    let canvas = node.cast::<HtmlCanvasElement>()?;
    canvas.set_width(width as u32);
    canvas.set_height(height as u32);
    let data = ImageData::new_with_u8_clamped_array_and_sh(Clamped(rgba), width as u32, height as u32).ok()?;
    context(&canvas)?.put_image_data(&data, 0.0, 0.0).ok()
}

/// A cleared context whose unit is the CSS pixel and whose pixels are the screen's.
pub fn scaled_context(node: &NodeRef, width: f64, height: f64) -> Option<CanvasRenderingContext2d> {
    let canvas = node.cast::<HtmlCanvasElement>()?;
    let ratio = web_sys::window().map_or(1.0, |window| window.device_pixel_ratio()).clamp(1.0, 3.0);
    canvas.set_width((width * ratio).round() as u32);
    canvas.set_height((height * ratio).round() as u32);
    let context = context(&canvas)?;
    context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0).ok()?;
    context.clear_rect(0.0, 0.0, width, height);
    Some(context)
}
