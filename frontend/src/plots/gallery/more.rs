//! The end of a list that grows: it asks for more when it is scrolled to.

use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{Element, IntersectionObserver, IntersectionObserverEntry};
use yew::prelude::*;

/// What the end of a list knows.
#[derive(Properties, PartialEq)]
pub(super) struct MoreSentinelProps {
    /// Whether more are on their way.
    pub(super) loading: bool,
    /// Ask for more.
    pub(super) on_more: Callback<()>,
}

/// Asks for more when it comes into view, and when it is pressed.
#[component]
pub(super) fn MoreSentinel(props: &MoreSentinelProps) -> Html {
    let node = use_node_ref();
    {
        let (node, on_more) = (node.clone(), props.on_more.clone());
        use_effect_with(props.loading, move |&loading| {
            let watched = if loading { None } else { watch(&node, on_more) };
            move || {
                if let Some((observer, closure)) = watched {
                    observer.disconnect();
                    drop(closure);
                }
            }
        });
    }
    let on_more = props.on_more.clone();
    html! {
        <button ref={node} class="link gallery-more" disabled={props.loading} onclick={move |_| on_more.emit(())}>
            { if props.loading { "Loading more images" } else { "Show more images" } }
        </button>
    }
}

type Watched = (IntersectionObserver, Closure<dyn FnMut(JsValue)>);

fn watch(node: &NodeRef, on_more: Callback<()>) -> Option<Watched> {
    let element = node.cast::<Element>()?;
    let closure = Closure::<dyn FnMut(JsValue)>::new(move |entries: JsValue| {
        let seen = js_sys::Array::from(&entries)
            .iter()
            .filter_map(|entry| entry.dyn_into::<IntersectionObserverEntry>().ok())
            .any(|entry| entry.is_intersecting());
        if seen {
            on_more.emit(());
        }
    });
    let observer = IntersectionObserver::new(closure.as_ref().unchecked_ref()).ok()?;
    observer.observe(&element);
    Some((observer, closure))
}
