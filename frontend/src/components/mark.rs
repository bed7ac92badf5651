//! ◆ for the true label and ● for the predicted one, drawn so that they look the same everywhere.

use domain::Label;
use yew::prelude::*;

/// Which role a label plays for the chosen image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// ◆ The data set says so.
    Gold,
    /// ● The teacher says so.
    Predicted,
    /// ● over ◆: both say so.
    Both,
    /// Any other class.
    Other,
}

impl Role {
    /// The role of `label`.
    pub fn of(label: Label, gold: Option<Label>, predicted: Option<Label>) -> Self {
        match (gold == Some(label), predicted == Some(label)) {
            (true, true) => Self::Both,
            (true, false) => Self::Gold,
            (false, true) => Self::Predicted,
            (false, false) => Self::Other,
        }
    }

    /// CSS class that colors text or a bar.
    pub fn class(self) -> &'static str {
        match self {
            Self::Gold => "is-gold",
            Self::Predicted | Self::Both => "is-predicted",
            Self::Other => "is-other",
        }
    }

    /// Spoken form.
    pub fn words(self) -> &'static str {
        match self {
            Self::Gold => "true label",
            Self::Predicted => "teacher's answer",
            Self::Both => "true label and teacher's answer",
            Self::Other => "",
        }
    }
}

/// What to mark.
#[derive(Properties, PartialEq)]
pub struct MarkProps {
    /// Whose symbol.
    pub role: Role,
}

/// The symbol alone, as large as the text around it.
#[component]
pub fn Mark(props: &MarkProps) -> Html {
    let diamond = html! { <path class="mark-gold" d="M5 0 10 5 5 10 0 5Z" /> };
    let dot = |radius: &'static str| html! { <circle class="mark-predicted" cx="5" cy="5" r={radius} /> };
    let shapes = match props.role {
        Role::Gold => diamond,
        Role::Predicted => dot("4.4"),
        Role::Both => html! { <>{ diamond }{ dot("2.6") }</> },
        Role::Other => return html! { <span class="mark" /> },
    };
    html! {
        <svg class="mark" viewBox="0 0 10 10" role="img" aria-label={props.role.words()}>
            <title>{ props.role.words() }</title>
            { shapes }
        </svg>
    }
}

/// A marked label.
#[derive(Properties, PartialEq)]
pub struct MarkedLabelProps {
    /// Whose symbol.
    pub role: Role,
    /// The label's name.
    pub name: AttrValue,
}

/// Symbol and name together, in the symbol's color.
#[component]
pub fn MarkedLabel(props: &MarkedLabelProps) -> Html {
    html! {
        <span class={classes!("marked", props.role.class())}><Mark role={props.role} />{ props.name.clone() }</span>
    }
}
