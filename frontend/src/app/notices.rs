//! What concerns the whole page and not one view: that the server is gone, and that something asked for once
//! did not happen.

use std::rc::Rc;

use yew::prelude::*;

use crate::{
    components::{
        notice::{Notice, Tone},
        problem::Problem,
    },
    state::Connection,
};

/// What to say.
#[derive(Properties, PartialEq)]
pub(super) struct NoticesProps {
    /// Whether the page hears the server.
    pub(super) connection: Connection,
    /// Why something that was asked for once did not happen.
    pub(super) problem: Option<Rc<Problem>>,
    /// It was read.
    pub(super) on_dismiss: Callback<()>,
}

/// The line under the header; empty on a good day.
#[component]
pub(super) fn Notices(props: &NoticesProps) -> Html {
    html! {
        <div class="notices">
            // A server that refuses this page is no server that is gone.
            if props.connection == Connection::Lost && props.problem.is_none() {
                <Notice tone={Tone::Warn} title="The server does not answer."
                    text="See that it runs. What is on the page stays, and the page goes on by itself as soon as the server is back." />
            }
            if let Some(problem) = &props.problem {
                <Notice tone={Tone::Bad} title={problem.what.clone()} text={problem.remedy.clone()}
                    action={AttrValue::from("Dismiss")} on_action={props.on_dismiss.clone()} />
            }
        </div>
    }
}
