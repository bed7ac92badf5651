//! A place for an image file: drop it or pick it. The browser decodes it, under a size limit.

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{File, HtmlCanvasElement, HtmlInputElement, ImageBitmap};
use yew::prelude::*;

use super::{drawing::InkPicture, problem::Problem};
use crate::plots::canvas;

/// Larger files are refused before they are decoded.
const MAX_BYTES: f64 = 10.0 * 1024.0 * 1024.0;
/// A larger picture is scaled down to this side: more detail than any data set here has.
const MAX_SIDE: u32 = 1_024;

/// What to do with the file.
#[derive(Properties, PartialEq)]
pub struct DropZoneProps {
    /// The picture of a file.
    pub on_picture: Callback<InkPicture>,
    /// Why a file could not be read.
    pub on_problem: Callback<Problem>,
}

/// The place, which is a label around a file box.
#[component]
pub fn DropZone(props: &DropZoneProps) -> Html {
    let over = use_state_eq(|| false);
    let take = {
        let (on_picture, on_problem) = (props.on_picture.clone(), props.on_problem.clone());
        Callback::from(move |file: Option<File>| {
            let (on_picture, on_problem) = (on_picture.clone(), on_problem.clone());
            let Some(file) = file else { return };
            spawn_local(async move {
                match decode(&file).await {
                    Ok(picture) => on_picture.emit(picture),
                    Err(problem) => on_problem.emit(problem),
                }
            });
        })
    };
    let on_change = take.reform(|event: Event| {
        let input = event.target_unchecked_into::<HtmlInputElement>();
        let file = input.files().and_then(|files| files.get(0));
        // So that the same file can be picked again.
        input.set_value("");
        file
    });
    let on_drop = {
        let over = over.clone();
        take.reform(move |event: DragEvent| {
            event.prevent_default();
            over.set(false);
            event.data_transfer().and_then(|transfer| transfer.files()).and_then(|files| files.get(0))
        })
    };
    let drag = |on: bool| {
        let over = over.clone();
        Callback::from(move |event: DragEvent| {
            event.prevent_default();
            over.set(on);
        })
    };
    html! {
        <label class={classes!("drop-zone", over.then_some("is-over"))} ondragover={drag(true)}
            ondragleave={drag(false)} ondrop={on_drop}>
            <input class="visually-hidden" type="file" accept="image/png,image/jpeg,image/webp" onchange={on_change} />
            <span><b>{ "Choose a PNG" }</b>{ " or drop it here" }</span>
        </label>
    }
}

async fn decode(file: &File) -> Result<InkPicture, Problem> {
    let refuse = |what: &'static str| Problem::new(what, "Use a PNG of one digit, at most 10 MB.", false);
    if file.size() > MAX_BYTES {
        return Err(refuse("The file is too large."));
    }
    let unreadable = || refuse("The file could not be read as an image.");
    let window = web_sys::window().ok_or_else(unreadable)?;
    let promise = window.create_image_bitmap_with_blob(file).map_err(|_| unreadable())?;
    let bitmap: ImageBitmap =
        JsFuture::from(promise).await.map_err(|_| unreadable())?.dyn_into().map_err(|_| unreadable())?;
    let picture = rasterize(&bitmap).ok_or_else(unreadable);
    bitmap.close();
    let picture = picture?;
    if picture.is_blank() { Err(refuse("The image is blank.")) } else { Ok(picture) }
}

fn rasterize(bitmap: &ImageBitmap) -> Option<InkPicture> {
    let scale = (f64::from(MAX_SIDE) / f64::from(bitmap.width().max(bitmap.height()).max(1))).min(1.0);
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    let (width, height) = (side(bitmap.width()), side(bitmap.height()));
    let canvas: HtmlCanvasElement = web_sys::window()?.document()?.create_element("canvas").ok()?.dyn_into().ok()?;
    canvas.set_width(width);
    canvas.set_height(height);
    let context = canvas::context(&canvas)?;
    context.draw_image_with_image_bitmap_and_dw_and_dh(bitmap, 0.0, 0.0, f64::from(width), f64::from(height)).ok()?;
    let data = context.get_image_data(0.0, 0.0, f64::from(width), f64::from(height)).ok()?;
    InkPicture::from_rgba(width as usize, height as usize, &data.data())
}
