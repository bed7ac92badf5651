//! The legend of a signed scale: what each end means, in words and numbers.

use yew::prelude::*;

use crate::components::format;

/// What the scale says.
#[derive(Properties, PartialEq)]
pub struct DivergingLegendProps {
    /// Value at both ends, without sign.
    pub limit: f32,
    /// What the violet end means: `towards 3`.
    pub against: AttrValue,
    /// What the orange end means: `towards 5`.
    pub towards: AttrValue,
    /// What the numbers count, shown on hover.
    #[prop_or_default]
    pub unit: AttrValue,
}

/// A bar of the scale with its ends and its zero named.
#[component]
pub fn DivergingLegend(props: &DivergingLegendProps) -> Html {
    let limit = format::sensible(f64::from(props.limit));
    html! {
        <div class="legend" title={props.unit.clone()}>
            <div class="legend-bar" aria-hidden="true"></div>
            <div class="legend-words tabular">
                <span>{ format!("\u{2212}{limit}") }<br />{ props.against.clone() }</span>
                <span>{ "0" }</span>
                <span>{ format!("+{limit}") }<br />{ props.towards.clone() }</span>
            </div>
        </div>
    }
}
