//! The neighbors as one picture, underlined by the teacher's answer: solid ●, dashed ◆, dotted for
//! any other, and in the class's color. One canvas, one tab stop.

pub mod layout;

use std::rc::Rc;

use domain::{Label, Neighbor};
use yew::prelude::*;

use self::layout::Grid;
use super::{canvas, gallery, measure::use_size};
use crate::components::{chosen::label_name, format, shared::Shared};

/// Rows shown at first, and added by each press of the button: a canvas cannot grow without end.
const PAGE_ROWS: usize = 8;

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct ImageGridProps {
    /// In index order.
    pub neighbors: Shared<Vec<Neighbor>>,
    /// One name a label.
    pub names: Rc<Vec<String>>,
    /// The chosen image's true label.
    pub gold: Option<Label>,
    /// The teacher's answer to it.
    pub predicted: Option<Label>,
    /// Show only neighbors with this answer.
    pub focus: Option<Label>,
    /// Position of the neighbor under the pointer here or in the plot.
    pub hovered: Option<usize>,
    /// Position of the neighbor that was chosen.
    pub picked: Option<usize>,
    /// The pointer is over another one, or none.
    pub on_hover: Callback<Option<usize>>,
    /// One was chosen.
    pub on_pick: Callback<usize>,
}

/// A list box drawn on a canvas; the current option is spoken from an element of its own.
#[component]
pub fn ImageGrid(props: &ImageGridProps) -> Html {
    let frame = use_node_ref();
    let node = use_node_ref();
    let size = use_size(&frame);
    let pages = use_state_eq(|| 1usize);
    let active = use_state_eq(|| 0usize);
    let focused = use_state_eq(|| false);

    let all = use_memo((props.neighbors.clone(), props.focus), |(neighbors, focus)| layout::shown(neighbors, *focus));
    let page = Grid::fit(0, size.width).columns * PAGE_ROWS;
    let count = all.len().min(*pages * page);
    let grid = Grid::fit(count, size.width);
    {
        let node = node.clone();
        let labels = (props.gold, props.predicted);
        use_effect_with((grid, props.neighbors.clone(), all.clone(), labels), move |(grid, neighbors, all, labels)| {
            if grid.count > 0 {
                let shown: Vec<&Neighbor> = all.iter().take(grid.count).map(|&index| &neighbors[index]).collect();
                canvas::put_rgba(&node, grid.width(), grid.height(), &layout::raster(grid, &shown, *labels));
            }
        });
    }
    let at = {
        let all = all.clone();
        move |event: &MouseEvent| {
            let cell = grid.at(f64::from(event.offset_x()), f64::from(event.offset_y()))?;
            Some((cell, *all.get(cell)?))
        }
    };
    let on_mouse_move = {
        let (at, on_hover, hovered) = (at.clone(), props.on_hover.clone(), props.hovered);
        Callback::from(move |event: MouseEvent| {
            let found = at(&event).map(|(_, index)| index);
            if found != hovered {
                on_hover.emit(found);
            }
        })
    };
    let on_click = {
        let (active, on_pick) = (active.clone(), props.on_pick.clone());
        Callback::from(move |event: MouseEvent| {
            if let Some((cell, index)) = at(&event) {
                active.set(cell);
                on_pick.emit(index);
            }
        })
    };
    let on_key_down = {
        let (active, all) = (active.clone(), all.clone());
        let (on_hover, on_pick) = (props.on_hover.clone(), props.on_pick.clone());
        Callback::from(move |event: KeyboardEvent| {
            let stop = (*active).min(count.saturating_sub(1));
            if matches!(event.key().as_str(), "Enter" | " ") {
                event.prevent_default();
                if let Some(&index) = all.get(stop) {
                    on_pick.emit(index);
                }
            } else if let Some(next) = gallery::walk(stop, &event.key(), count, grid.columns) {
                event.prevent_default();
                active.set(next);
                on_hover.emit(all.get(next).copied());
            }
        })
    };
    let stop = (*active).min(count.saturating_sub(1));
    let cell_of = |index: Option<usize>| all.iter().take(count).position(|&shown| Some(shown) == index);
    let frame_at = |cell: usize, class: &'static str| {
        let (left, top) = grid.place(cell);
        let style = format!("left:{}px;top:{}px", left as i64 - 3, top as i64 - 3);
        html! { <span class={classes!("grid-frame", class)} {style} /> }
    };
    let spoken = all.get(stop).map(|&index| describe(&props.neighbors[index], &props.names));

    html! {
        <div class="image-grid" ref={frame}>
            <div class="image-grid-box" role="listbox" tabindex="0"
                aria-label="Neighbors, underlined by the teacher's answer"
                aria-activedescendant={spoken.is_some().then_some("neighbor-option")}
                onkeydown={on_key_down} onmousemove={on_mouse_move} onclick={on_click}
                onmouseleave={props.on_hover.reform(|_| None)}
                onfocus={let focused = focused.clone(); move |_| focused.set(true)}
                onblur={let focused = focused.clone(); move |_| focused.set(false)}
            >
                if count > 0 {
                    <canvas ref={node} class="pixels" aria-hidden="true"
                        style={format!("width:{}px;height:{}px", grid.width(), grid.height())} />
                }
                if let Some(spoken) = spoken {
                    <span id="neighbor-option" role="option" class="visually-hidden"
                        aria-selected={(props.picked == all.get(stop).copied()).to_string()}
                        aria-posinset={(stop + 1).to_string()} aria-setsize={all.len().to_string()}>{ spoken }</span>
                }
                if let Some(cell) = cell_of(props.picked).filter(|_| props.picked.is_some()) {
                    { frame_at(cell, "is-picked") }
                }
                if let Some(cell) = cell_of(props.hovered).filter(|_| props.hovered.is_some()) {
                    { frame_at(cell, "is-hovered") }
                }
                if *focused && count > 0 {
                    { frame_at(stop, "is-active") }
                }
            </div>
            if count < all.len() {
                <button class="link" onclick={move |_| pages.set(*pages + 1)}>
                    { more(count, page, all.len()) }
                </button>
            }
        </div>
    }
}

/// `Show 120 more of 1,000`.
fn more(shown: usize, page: usize, all: usize) -> String {
    format!("Show {} more of {}", format::count((all - shown).min(page) as u64), format::count(all as u64))
}

fn describe(neighbor: &Neighbor, names: &[String]) -> String {
    let label = label_name(names, neighbor.soft_labels.predicted_label());
    let confidence = format::short_percent(neighbor.soft_labels.confidence());
    format!("Neighbor {}: the teacher says {label}, {confidence} sure", neighbor.index + 1)
}
