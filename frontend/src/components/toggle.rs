//! A segmented control: one of a few, all in sight.

use yew::prelude::*;

use super::focus::focus_child;

/// What to show.
#[derive(Properties, PartialEq)]
pub struct ToggleProps {
    /// What is chosen here; spoken.
    pub label: AttrValue,
    /// Names, in order.
    pub options: Vec<AttrValue>,
    /// Position of what is set.
    pub selected: usize,
    /// What it does, in words a newcomer knows; shown on hover.
    #[prop_or_default]
    pub help: AttrValue,
    /// Position of what was chosen.
    pub on_change: Callback<usize>,
}

/// A radio group: one tab stop, arrows choose.
#[component]
pub fn Toggle(props: &ToggleProps) -> Html {
    let group = use_node_ref();
    let on_key_down = {
        let (group, on_change) = (group.clone(), props.on_change.clone());
        let (selected, count) = (props.selected, props.options.len());
        Callback::from(move |event: KeyboardEvent| {
            let next = match event.key().as_str() {
                "ArrowRight" | "ArrowDown" => (selected + 1) % count.max(1),
                "ArrowLeft" | "ArrowUp" => (selected + count.saturating_sub(1)) % count.max(1),
                _ => return,
            };
            event.prevent_default();
            on_change.emit(next);
            focus_child(&group, next);
        })
    };
    let option = |(index, name): (usize, &AttrValue)| {
        let on_change = props.on_change.clone();
        let checked = index == props.selected;
        html! {
            <button type="button" role="radio" aria-checked={checked.to_string()}
                class={classes!(checked.then_some("is-selected"))} tabindex={if checked { "0" } else { "-1" }}
                onclick={move |_| on_change.emit(index)}>{ name.clone() }</button>
        }
    };
    html! {
        <div ref={group} class="toggle" role="radiogroup" aria-label={props.label.clone()} title={props.help.clone()}
            onkeydown={on_key_down}>
            for item in props.options.iter().enumerate() {
                { option(item) }
            }
        </div>
    }
}
