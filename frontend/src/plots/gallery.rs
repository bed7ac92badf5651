//! Images in rows, each with a line under it; one tab stop, arrows walk, more come by scrolling.

mod more;

use domain::Image;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;
use yew::prelude::*;

use self::more::MoreSentinel;
use super::pixel_image::PixelImage;
use crate::components::{focus::focus_child, shared::Shared};

/// One image of a gallery.
#[derive(Debug, Clone, PartialEq)]
pub struct Thumbnail {
    /// What is emitted when it is chosen; unique.
    pub key: AttrValue,
    /// The pixels.
    pub image: Image,
    /// Under it, a few letters: `83 %`.
    pub caption: AttrValue,
    /// Spoken and on hover: `Image 4,213: true 3, teacher says 5, 83 % sure`.
    pub description: AttrValue,
}

/// Where a key leads from `index` among `count` items in rows of `columns`; `None` where it leads nowhere.
pub fn walk(index: usize, key: &str, count: usize, columns: usize) -> Option<usize> {
    let columns = columns.max(1);
    let next = match key {
        "ArrowLeft" => index.checked_sub(1)?,
        "ArrowRight" => index + 1,
        "ArrowUp" => index.checked_sub(columns)?,
        "ArrowDown" => index + columns,
        "PageUp" => index.saturating_sub(4 * columns),
        "PageDown" => (index + 4 * columns).min(count.checked_sub(1)?),
        "Home" => 0,
        "End" => count.checked_sub(1)?,
        _ => return None,
    };
    (next < count).then_some(next)
}

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct GalleryProps {
    /// In the order they are shown.
    pub thumbnails: Shared<Vec<Thumbnail>>,
    /// Key of the chosen one.
    #[prop_or_default]
    pub selected: Option<AttrValue>,
    /// Whether there are more than these.
    #[prop_or_default]
    pub more: bool,
    /// Whether more are on their way.
    #[prop_or_default]
    pub loading: bool,
    /// What these images are.
    pub label: AttrValue,
    /// One was chosen.
    pub on_select: Callback<AttrValue>,
    /// The end was scrolled to.
    #[prop_or_default]
    pub on_more: Callback<()>,
    /// The pointer is over another one.
    #[prop_or_default]
    pub on_hover: Callback<Option<AttrValue>>,
}

/// A list box of thumbnails.
#[component]
pub fn Gallery(props: &GalleryProps) -> Html {
    let list = use_node_ref();
    let chosen = props.selected.as_ref().and_then(|key| props.thumbnails.iter().position(|t| t.key == *key));
    let active = use_state_eq(|| chosen.unwrap_or(0));
    let stop = if props.thumbnails.len() > *active { *active } else { 0 };
    let on_key_down = {
        let (list, active, thumbnails) = (list.clone(), active.clone(), props.thumbnails.clone());
        let on_select = props.on_select.clone();
        Callback::from(move |event: KeyboardEvent| {
            if matches!(event.key().as_str(), "Enter" | " ") {
                event.prevent_default();
                if let Some(thumbnail) = thumbnails.get(stop) {
                    on_select.emit(thumbnail.key.clone());
                }
            } else if let Some(next) = walk(stop, &event.key(), thumbnails.len(), columns(&list)) {
                event.prevent_default();
                active.set(next);
                focus_child(&list, next);
            }
        })
    };
    let option = |(index, thumbnail): (usize, &Thumbnail)| {
        let selected = chosen == Some(index);
        let (on_select, active, picked) = (props.on_select.clone(), active.clone(), thumbnail.key.clone());
        let (enter, leave, entered) = (props.on_hover.clone(), props.on_hover.clone(), thumbnail.key.clone());
        html! {
            <div key={thumbnail.key.to_string()} role="option" aria-selected={selected.to_string()}
                class={classes!("gallery-item", selected.then_some("is-selected"))}
                aria-label={thumbnail.description.clone()} title={thumbnail.description.clone()}
                tabindex={if index == stop { "0" } else { "-1" }}
                onclick={move |_| { active.set(index); on_select.emit(picked.clone()); }}
                onmouseenter={move |_| enter.emit(Some(entered.clone()))}
                onmouseleave={move |_| leave.emit(None)}
            >
                <PixelImage image={thumbnail.image.clone()} />
                <span class="tabular">{ thumbnail.caption.clone() }</span>
            </div>
        }
    };
    html! {
        <div class="gallery-frame">
            <div class="gallery" role="listbox" aria-label={props.label.clone()} ref={list} onkeydown={on_key_down}>
                for item in props.thumbnails.iter().enumerate() {
                    { option(item) }
                }
            </div>
            if props.more || props.loading {
                // A new sentinel after each page: one that stays in view would not be seen entering it.
                <MoreSentinel key={props.thumbnails.len()} loading={props.loading} on_more={props.on_more.clone()} />
            }
        </div>
    }
}

/// Items in a row, as the style sheet laid them out.
fn columns(list: &NodeRef) -> usize {
    let Some(list) = list.cast::<HtmlElement>() else { return 1 };
    let top = |index: u32| {
        let item = list.children().item(index)?.dyn_into::<HtmlElement>().ok()?;
        Some(item.offset_top())
    };
    let first = top(0);
    (0..list.child_element_count()).take_while(|&index| top(index) == first).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_walk_rows_and_stop_at_the_ends() {
        assert_eq!(walk(0, "ArrowLeft", 25, 10), None);
        assert_eq!(walk(9, "ArrowRight", 25, 10), Some(10));
        assert_eq!(walk(12, "ArrowUp", 25, 10), Some(2));
        assert_eq!(walk(12, "ArrowDown", 25, 10), Some(22));
        assert_eq!(walk(18, "ArrowDown", 25, 10), None);
        assert_eq!(walk(3, "End", 25, 10), Some(24));
        assert_eq!(walk(0, "End", 0, 10), None);
        assert_eq!(walk(5, "Enter", 25, 10), None);
    }
}
