//! A button that puts the page's address into the clipboard and says that it did.

use gloo::{timers::callback::Timeout, utils::window};
use wasm_bindgen_futures::JsFuture;
use yew::prelude::*;

/// How long the answer stays.
const TOLD_MS: u32 = 2_500;

/// What to show.
#[derive(Properties, PartialEq)]
pub struct CopyLinkProps {
    /// Whether something on the page is not in the address: an image of one's own.
    pub leaves_out_own: bool,
}

/// The button; what happened is said in its place.
#[component]
pub fn CopyLink(props: &CopyLinkProps) -> Html {
    let told = use_state_eq(|| None::<&'static str>);
    {
        let told = told.clone();
        use_effect_with(*told, move |now| {
            let timeout = now.map(|_| Timeout::new(TOLD_MS, move || told.set(None)));
            move || drop(timeout)
        });
    }
    let on_click = {
        let (told, leaves_out_own) = (told.clone(), props.leaves_out_own);
        Callback::from(move |_: MouseEvent| {
            let told = told.clone();
            let copied = if leaves_out_own { "Copied, without your image" } else { "Copied" };
            wasm_bindgen_futures::spawn_local(async move {
                told.set(Some(if copy().await { copied } else { "Copy it from the address bar" }));
            });
        })
    };
    html! {
        <button class="link copy-link" type="button" onclick={on_click} aria-live="polite">
            { told.unwrap_or("Copy link") }
        </button>
    }
}

/// Whether the browser allowed it; it does so on secure pages only.
async fn copy() -> bool {
    if !window().is_secure_context() {
        return false;
    }
    let Ok(address) = window().location().href() else { return false };
    JsFuture::from(window().navigator().clipboard().write_text(&address)).await.is_ok()
}
