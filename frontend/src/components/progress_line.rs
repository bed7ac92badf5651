//! A thin line and words: how far something has come.

use yew::prelude::*;

/// What to show.
#[derive(Properties, PartialEq)]
pub struct ProgressLineProps {
    /// In `[0, 1]`; `None` while the length is unknown.
    #[prop_or_default]
    pub fraction: Option<f64>,
    /// `612 of 1,000 neighbors labeled`.
    pub words: AttrValue,
}

/// The line keeps its place when it is full, so that nothing moves at the end.
#[component]
pub fn ProgressLine(props: &ProgressLineProps) -> Html {
    let share = props.fraction.map(|fraction| fraction.clamp(0.0, 1.0));
    let percent = share.map(|share| format!("{:.0}", share * 100.0));
    let style = share.map(|share| format!("--share:{share:.4}"));
    html! {
        <div class="progress">
            <div class={classes!("progress-line", share.is_none().then_some("is-unknown"))} role="progressbar"
                aria-valuemin="0" aria-valuemax="100" aria-valuenow={percent} aria-valuetext={props.words.clone()}>
                <span {style} />
            </div>
            <span class="progress-words quiet tabular" aria-live="polite">{ props.words.clone() }</span>
        </div>
    }
}
