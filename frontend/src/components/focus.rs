//! Keys that walk: the focus goes to another element of the same widget.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, SvgElement};
use yew::NodeRef;

/// Focuses the first element inside `frame` that a CSS selector finds. What is not there, or cannot take the
/// focus, leaves it where it was.
pub fn focus_within(frame: &NodeRef, selector: &str) -> Option<()> {
    let found = frame.cast::<Element>()?.query_selector(selector).ok()??;
    match found.dyn_into::<HtmlElement>() {
        Ok(element) => element.focus().ok(),
        Err(other) => other.dyn_into::<SvgElement>().ok()?.focus().ok(),
    }
}

/// Focuses the child at a position.
pub fn focus_child(frame: &NodeRef, index: usize) -> Option<()> {
    focus_within(frame, &format!(":scope > :nth-child({})", index + 1))
}
