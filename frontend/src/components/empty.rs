//! What a view says while there is nothing in it: what will be here and what to click.

use yew::prelude::*;

/// What to show.
#[derive(Properties, PartialEq)]
pub struct EmptyProps {
    /// In bold: what will be here.
    pub title: AttrValue,
    /// What to do.
    pub text: AttrValue,
}

/// Two lines in the middle of the view.
#[component]
pub fn Empty(props: &EmptyProps) -> Html {
    html! {
        <div class="empty"><b>{ props.title.clone() }</b><p>{ props.text.clone() }</p></div>
    }
}
