//! A digit of one's own in the place of the gallery.

use std::rc::Rc;

use domain::Dataset;
use yew::prelude::*;

use crate::components::own_digit::{OwnDigit, OwnImage};

/// What is shown and where wishes go.
#[derive(Properties, PartialEq)]
pub(super) struct BringProps {
    /// Whose shape the image gets.
    pub(super) dataset: Option<Rc<Dataset>>,
    /// One name a label.
    pub(super) names: Rc<Vec<String>>,
    /// Whether one is being explained.
    pub(super) explains_own: bool,
    /// It is to be explained.
    pub(super) on_use: Callback<OwnImage>,
}

/// Paper, file box, and what becomes of the image.
#[component]
pub(super) fn Bring(props: &BringProps) -> Html {
    let Some(dataset) = &props.dataset else { return Html::default() };
    html! {
        <div class="bring-own">
            <div class="row spread images-head">
                <p><b>{ "A digit of your own" }</b></p>
            </div>
            <OwnDigit shape={dataset.shape} names={props.names.clone()} on_use={props.on_use.clone()} />
            if props.explains_own {
                <p class="quiet">{ "Your image stays in this page: a reload or a copied link does not bring it back." }</p>
            }
        </div>
    }
}
