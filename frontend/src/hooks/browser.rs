//! What the browser tells the page: whether it is seen, which keys are pressed, that someone clicked.

use gloo::{
    events::{EventListener, EventListenerOptions, EventListenerPhase},
    utils::{document, window},
};
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, VisibilityState};
use yew::prelude::*;

use crate::api::Tracer;

/// Whether the tab can be seen. A hidden one holds no streams.
#[hook]
pub fn use_visible() -> bool {
    let seen = || document().visibility_state() != VisibilityState::Hidden;
    let visible = use_state_eq(seen);
    let setter = visible.setter();
    use_effect_with((), move |()| {
        let listener = EventListener::new(&document(), "visibilitychange", move |_| setter.set(seen()));
        move || drop(listener)
    });
    *visible
}

/// Begins a new trace with every click and key, before anything that follows from it.
#[hook]
pub fn use_traced_clicks(tracer: &Tracer) {
    let tracer = tracer.clone();
    use_effect_with((), move |()| {
        let options = EventListenerOptions { phase: EventListenerPhase::Capture, passive: true };
        let listeners = ["pointerdown", "keydown"].map(|kind| {
            let tracer = tracer.clone();
            EventListener::new_with_options(&window(), kind, options, move |_| tracer.begin())
        });
        move || drop(listeners)
    });
}

/// Calls back when `?` is pressed outside of a text box.
#[hook]
pub fn use_help_key(on_help: Callback<()>) {
    use_effect_with(on_help, move |on_help| {
        let on_help = on_help.clone();
        let listener = EventListener::new(&document(), "keydown", move |event| {
            let writes = event
                .target()
                .and_then(|target| target.dyn_into::<Element>().ok())
                .is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"));
            let is_help = event.dyn_ref::<KeyboardEvent>().is_some_and(|event| event.key() == "?");
            if is_help && !writes {
                on_help.emit(());
            }
        });
        move || drop(listener)
    });
}

/// Where the page came from: scheme, host and port.
pub fn origin() -> String {
    window().location().origin().unwrap_or_default()
}

/// The query of the address, with its `?`.
pub fn query() -> String {
    window().location().search().unwrap_or_default()
}
