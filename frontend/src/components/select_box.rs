//! A choice among a few named options.

use web_sys::HtmlSelectElement;
use yew::prelude::*;

/// What to show.
#[derive(Properties, PartialEq)]
pub struct SelectBoxProps {
    /// Of the element; unique on the page.
    pub id: AttrValue,
    /// Above the box.
    pub label: AttrValue,
    /// What it does, in words a newcomer knows; shown on hover.
    pub help: AttrValue,
    /// Names, in order.
    pub options: Vec<AttrValue>,
    /// Position of what is set.
    pub selected: usize,
    /// Position of what reset would bring back; `None` where there is no default.
    #[prop_or_default]
    pub default: Option<usize>,
    /// Whether it can be changed now.
    #[prop_or_default]
    pub disabled: bool,
    /// Position of what was chosen.
    pub on_change: Callback<usize>,
}

/// The box.
#[component]
pub fn SelectBox(props: &SelectBoxProps) -> Html {
    let on_change = props.on_change.reform(|event: Event| {
        let chosen = event.target_unchecked_into::<HtmlSelectElement>().selected_index();
        usize::try_from(chosen).unwrap_or(0)
    });
    let default = props.default.and_then(|index| props.options.get(index));
    let hint = match default {
        Some(name) => format!("{} (default {name})", props.help),
        None => props.help.to_string(),
    };
    let option = |(index, name): (usize, &AttrValue)| {
        html! { <option value={index.to_string()} selected={index == props.selected}>{ name.clone() }</option> }
    };
    html! {
        <div class="field" title={hint.clone()}>
            <label for={props.id.clone()}>{ props.label.clone() }</label>
            <select id={props.id.clone()} disabled={props.disabled} onchange={on_change} aria-description={hint}>
                for item in props.options.iter().enumerate() {
                    { option(item) }
                }
            </select>
        </div>
    }
}
