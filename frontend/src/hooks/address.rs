//! The address follows the selection, and the selection follows the back button.

use gloo::{events::EventListener, timers::callback::Timeout, utils::window};
use wasm_bindgen::JsValue;
use yew::prelude::*;

use super::{Dispatch, browser::query};
use crate::{route::Route, state::Action};

/// Boxes and sliders write the address this long after the last change: browsers refuse more than a few
/// writes a second.
const QUIET_MS: u32 = 300;

/// Keeps the address equal to `route`.
#[hook]
pub(super) fn use_address(route: Route, dispatch: Dispatch) {
    use_effect_with((), move |()| {
        let listener = EventListener::new(&window(), "popstate", move |_| {
            dispatch.dispatch(Action::Navigated(Box::new(Route::parse(&query()))));
        });
        move || drop(listener)
    });
    let written = use_mut_ref(|| Route::parse(&query()));
    use_effect_with(route, move |route| {
        let is_step = route.is_step_from(&written.borrow());
        let text = route.to_query();
        let mut timeout = None;
        if text != query() {
            if is_step {
                write(&text, true);
            } else {
                timeout = Some(Timeout::new(QUIET_MS, move || write(&text, false)));
            }
        }
        *written.borrow_mut() = route.clone();
        move || drop(timeout)
    });
}

/// A browser that refuses keeps the old address; the page goes on.
fn write(query: &str, push: bool) {
    let Ok(history) = window().history() else { return };
    let path = window().location().pathname().unwrap_or_else(|_| "/".to_owned());
    let address = format!("{path}{query}");
    let _ = if push {
        history.push_state_with_url(&JsValue::NULL, "", Some(&address))
    } else {
        history.replace_state_with_url(&JsValue::NULL, "", Some(&address))
    };
}
