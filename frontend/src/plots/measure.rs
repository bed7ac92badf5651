//! How large an element is, in CSS pixels, kept up to date.

use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, ResizeObserver};
use yew::prelude::*;

/// Width and height in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Size {
    /// Left to right.
    pub width: f64,
    /// Top to bottom.
    pub height: f64,
}

/// The inner size of an element; zero until it is on the page.
#[hook]
pub fn use_size(node: &NodeRef) -> Size {
    let size = use_state_eq(Size::default);
    {
        let (node, size) = (node.clone(), size.clone());
        use_effect_with((), move |()| {
            let observed = observe(&node, size.setter());
            move || {
                if let Some((observer, closure)) = observed {
                    observer.disconnect();
                    drop(closure);
                }
            }
        });
    }
    *size
}

fn observe(node: &NodeRef, set: UseStateSetter<Size>) -> Option<(ResizeObserver, Closure<dyn FnMut()>)> {
    let element = node.cast::<Element>()?;
    let read = {
        let element = element.clone();
        move || {
            set.set(Size { width: f64::from(element.client_width()), height: f64::from(element.client_height()) });
        }
    };
    read();
    let closure = Closure::<dyn FnMut()>::new(read);
    let observer = ResizeObserver::new(closure.as_ref().unchecked_ref()).ok()?;
    observer.observe(&element);
    Some((observer, closure))
}
