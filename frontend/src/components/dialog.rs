//! A window over the page. The browser's own dialog: it keeps the focus inside, closes on Escape and
//! gives the focus back.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlDialogElement};
use yew::prelude::*;

/// What to show.
#[derive(Properties, PartialEq)]
pub struct DialogProps {
    /// Of the element; unique on the page.
    pub id: AttrValue,
    /// At the top.
    pub title: AttrValue,
    /// Whether it is there.
    pub open: bool,
    /// It was closed: by its button, by Escape, by a click beside it.
    pub on_close: Callback<()>,
    /// What is in it; not rendered while it is closed.
    #[prop_or_default]
    pub children: Html,
}

/// The window.
#[component]
pub fn Dialog(props: &DialogProps) -> Html {
    let node = use_node_ref();
    {
        let node = node.clone();
        use_effect_with(props.open, move |&open| {
            let Some(dialog) = node.cast::<HtmlDialogElement>() else { return };
            if open && !dialog.open() {
                // A dialog that cannot be modal opens beside the page instead.
                if dialog.show_modal().is_err() {
                    dialog.set_open(true);
                }
            } else if !open && dialog.open() {
                dialog.close();
            }
        });
    }
    let on_close = {
        let on_close = props.on_close.clone();
        Callback::from(move |_: Event| on_close.emit(()))
    };
    let on_click = {
        let (node, on_close) = (node.clone(), props.on_close.clone());
        Callback::from(move |event: MouseEvent| {
            // The frame fills the dialog: a click on the dialog itself was beside it.
            let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            if target.is_some() && target == node.cast::<Element>() {
                on_close.emit(());
            }
        })
    };
    let on_button = props.on_close.reform(|_: MouseEvent| ());
    let heading = format!("{}-title", props.id);
    html! {
        <dialog id={props.id.clone()} ref={node} class="window" aria-labelledby={heading.clone()} onclose={on_close} onclick={on_click}>
            if props.open {
                <div class="window-frame">
                    <header class="card-head spread">
                        <h2 id={heading}>{ props.title.clone() }</h2>
                        <button class="link" type="button" onclick={on_button}>{ "Close" }</button>
                    </header>
                    { props.children.clone() }
                </div>
            }
        </dialog>
    }
}
