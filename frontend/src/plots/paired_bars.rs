//! Teacher and student side by side for one class: grey above, black below, in percent.

use yew::prelude::*;

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct PairedBarsProps {
    /// The teacher's probability, in `[0, 1]`.
    pub teacher: f64,
    /// The student's probability, in `[0, 1]`.
    pub student: f64,
}

/// Two bars and their numbers.
#[component]
pub fn PairedBars(props: &PairedBarsProps) -> Html {
    let row = |class: &'static str, who: &'static str, probability: f64| {
        let share = probability.clamp(0.0, 1.0);
        html! {
            <div class={classes!("pair", class)} title={format!("{who}: {:.2} %", share * 100.0)}>
                <span class="pair-track"><span style={format!("--share:{share:.4}")} /></span>
                <span class="pair-number tabular">
                    <span class="visually-hidden">{ who }</span>{ format!("{:.1}", share * 100.0) }
                </span>
            </div>
        }
    };
    html! {
        <div class="pairs">
            { row("is-teacher", "Teacher ", props.teacher) }
            { row("is-student", "Student ", props.student) }
        </div>
    }
}
