//! The map that answers the question: why this class and not that one. Or, on request, one class's
//! own weights at the same size and scale.

use domain::Label;
use yew::prelude::*;

use super::{MapsProps, weight_limit};
use crate::{
    components::{
        chosen::label_name,
        mark::{MarkedLabel, Role},
        shared::Shared,
    },
    plots::{heatmap::HeatmapImage, legend::DivergingLegend, regions},
};

/// What the numbers of weight maps count.
const UNIT: &str = "Change of the student's log-odds by one pixel of full ink; all weight maps share this scale";

/// Map, title, words and legend.
#[component]
pub(super) fn Contrast(props: &MapsProps) -> Html {
    let outlined = use_state_eq(|| true);
    let heatmap = use_memo((props.student.clone(), props.large), |(student, large)| {
        let weights = large.and_then(|label| student.classifier.weight_map(label).ok());
        Shared::new(weights.unwrap_or_else(|| student.contrast_map.clone()))
    });
    let student = &props.student;
    let (predicted, other) = (student.predicted_label, student.contrast_label);
    let gold = props.instance.gold_label;
    let marked = |label: Label| {
        html! { <MarkedLabel role={Role::of(label, gold, Some(predicted))} name={label_name(&props.names, label)} /> }
    };
    let (towards, against) = (label_name(&props.names, predicted), label_name(&props.names, other));
    let limit = weight_limit(student);
    let ink = outlined.then(|| props.instance.image.clone());
    let on_outline = {
        let outlined = outlined.clone();
        Callback::from(move |_: Event| outlined.set(!*outlined))
    };
    let on_back = props.on_large.reform(|_: MouseEvent| None);
    html! {
        <div class="contrast">
            <HeatmapImage heatmap={(*heatmap).clone()} {limit} {ink} class="contrast-map"
                alt={match props.large {
                    None => regions::describe(&heatmap, &towards, &against),
                    Some(label) => format!("Map of what speaks for {}", label_name(&props.names, label)),
                }} />
            <div class="contrast-words">
                if let Some(label) = props.large {
                    <h3>{ "What speaks for " }{ marked(label) }</h3>
                    <p>{ "Orange: ink there speaks for it. Violet: ink there speaks against it." }</p>
                    <DivergingLegend {limit} against="against" towards="for it" unit={UNIT} />
                    <button class="link" onclick={on_back}>
                        { format!("Back to why {towards} and not {against}") }
                    </button>
                } else {
                    <h3>{ "Why " }{ marked(predicted) }{ " and not " }{ marked(other) }</h3>
                    <p>{ format!("Ink on orange pushes towards {towards}, ink on violet towards {against}.") }</p>
                    <DivergingLegend {limit} against={format!("towards {against}")}
                        towards={format!("towards {towards}")} unit={UNIT} />
                }
                <label class="check quiet">
                    <input type="checkbox" checked={*outlined} onchange={on_outline} />{ "outline of the ink" }
                </label>
            </div>
        </div>
    }
}
