//! A boxed message with at most one thing to do about it.

use std::rc::Rc;

use yew::prelude::*;

use super::problem::Problem;

/// How serious it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing is wrong: what to do next.
    Info,
    /// All is well.
    Good,
    /// Read with care.
    Warn,
    /// It failed, or must not be believed.
    Bad,
}

impl Tone {
    /// CSS class of the box.
    pub fn class(self) -> &'static str {
        match self {
            Self::Info => "is-info",
            Self::Good => "is-good",
            Self::Warn => "is-warn",
            Self::Bad => "is-bad",
        }
    }
}

/// What to show.
#[derive(Properties, PartialEq)]
pub struct NoticeProps {
    /// How serious it is.
    pub tone: Tone,
    /// First, in bold.
    pub title: AttrValue,
    /// The rest.
    #[prop_or_default]
    pub text: AttrValue,
    /// On the button; no button without.
    #[prop_or_default]
    pub action: Option<AttrValue>,
    /// The button was pressed.
    #[prop_or_default]
    pub on_action: Callback<()>,
}

/// The box.
#[component]
pub fn Notice(props: &NoticeProps) -> Html {
    let role = if props.tone == Tone::Bad { "alert" } else { "status" };
    let on_action = props.on_action.clone();
    html! {
        <div class={classes!("notice", props.tone.class())} {role}>
            <p><b>{ props.title.clone() }</b>{ " " }{ props.text.clone() }</p>
            if let Some(action) = &props.action {
                <button class="button" onclick={move |_| on_action.emit(())}>{ action.clone() }</button>
            }
        </div>
    }
}

/// A failure.
#[derive(Properties, PartialEq)]
pub struct ProblemNoticeProps {
    /// What happened.
    pub problem: Rc<Problem>,
    /// Retry was pressed.
    #[prop_or_default]
    pub on_retry: Callback<()>,
}

/// What happened, what to do, and Retry where that may help.
#[component]
pub fn ProblemNotice(props: &ProblemNoticeProps) -> Html {
    let problem = &props.problem;
    let action = problem.can_retry.then(|| AttrValue::from("Retry"));
    html! {
        <Notice tone={problem.tone} title={problem.what.clone()} text={problem.remedy.clone()} {action}
            on_action={props.on_retry.clone()} />
    }
}
