//! A button that saves a text as a file.

use gloo::{
    file::{Blob, ObjectUrl},
    utils::document,
};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;
use yew::prelude::*;

/// What to show.
#[derive(Properties, PartialEq)]
pub struct ExportButtonProps {
    /// The file's name and its text, made when the button is pressed; `None` while there is nothing to save.
    pub file: Option<Callback<(), (String, String)>>,
}

/// The button. It keeps its place while there is nothing to save.
#[component]
pub fn ExportButton(props: &ExportButtonProps) -> Html {
    let file = props.file.clone();
    let on_click = Callback::from(move |_: MouseEvent| {
        if let Some((name, text)) = file.as_ref().map(|file| file.emit(())) {
            save(&name, &text);
        }
    });
    let title = match props.file {
        Some(_) => "Save every number of this explanation as JSON",
        None => "There is no finished explanation to save yet",
    };
    html! {
        <button class="link" type="button" disabled={props.file.is_none()} onclick={on_click} {title}>{ "Export" }</button>
    }
}

/// A browser that refuses saves nothing, and says so itself.
fn save(name: &str, text: &str) -> Option<()> {
    let url = ObjectUrl::from(Blob::new_with_options(text, Some("application/json")));
    let link = document().create_element("a").ok()?.dyn_into::<HtmlElement>().ok()?;
    link.set_attribute("href", &url).ok()?;
    link.set_attribute("download", name).ok()?;
    link.click();
    // The browser has taken the address by the time the next task runs.
    gloo::timers::callback::Timeout::new(1_000, move || drop(url)).forget();
    Some(())
}
