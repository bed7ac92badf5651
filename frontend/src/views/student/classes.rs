//! Class by class: the student's weights, what this image's ink makes of them, and both answers.

use domain::{Heatmap, Label, Student};
use yew::prelude::*;

use super::{MapsProps, weight_limit};
use crate::{
    components::{
        chosen::{label_name, name_room},
        format::sensible,
        mark::{Mark, Role},
        shared::Shared,
    },
    plots::{heatmap::HeatmapImage, paired_bars::PairedBars},
};

/// The twenty images and the limit of each column's scale.
struct Maps {
    weights: Vec<Shared<Heatmap>>,
    contributions: Vec<Shared<Heatmap>>,
    weight_limit: f32,
    contribution_limit: f32,
}

impl Maps {
    fn of(student: &Student) -> Self {
        let labels = (0..student.classifier.label_count() as u32).map(Label);
        let weights = labels.filter_map(|label| student.classifier.weight_map(label).ok()).map(Shared::new).collect();
        let contribution_limit = student.contribution_maps.iter().map(Heatmap::max_abs).fold(0.0, f32::max);
        let contributions = student.contribution_maps.iter().cloned().map(Shared::new).collect();
        Self { weights, contributions, weight_limit: weight_limit(student), contribution_limit }
    }
}

/// One row a class.
#[component]
pub(super) fn ClassRows(props: &MapsProps) -> Html {
    let maps = use_memo(props.student.clone(), |student| Maps::of(student));
    let student = &props.student;
    let row = |(index, (weights, contributions)): (usize, (&Shared<Heatmap>, &Shared<Heatmap>))| {
        let label = Label(index as u32);
        let name = label_name(&props.names, label);
        let role = Role::of(label, props.instance.gold_label, Some(student.predicted_label));
        let shown = props.large == Some(label);
        let on_large = props.on_large.clone();
        html! {
            <tr class={classes!(role.class(), shown.then_some("is-shown"))}>
                <th scope="row">{ name.clone() }<Mark {role} /></th>
                <td>
                    <button class="map-button" aria-pressed={shown.to_string()}
                        title={format!("Show the weights of {name} large")}
                        onclick={move |_| on_large.emit((!shown).then_some(label))}>
                        <HeatmapImage heatmap={weights.clone()} limit={maps.weight_limit}
                            alt={format!("Weights of {name}")} />
                    </button>
                </td>
                <td>
                    <HeatmapImage heatmap={contributions.clone()} limit={maps.contribution_limit}
                        alt={format!("Weights of {name} times this image\u{2019}s ink")} />
                </td>
                <td class="class-bars">
                    <PairedBars teacher={student.teacher_labels.probability(label)}
                        student={student.student_labels.probability(label)} />
                </td>
            </tr>
        }
    };
    let temperature = sensible_temperature(student.teacher_labels.temperature.get());
    let full_color = |limit: f32| format!("full color is \u{b1}{} log-odds", sensible(f64::from(limit)));
    let weight_help = format!(
        "What ink at each pixel does for the class; {}, the scale of the map above",
        full_color(maps.weight_limit)
    );
    let ink_help = format!(
        "Weight \u{d7} (this image\u{2019}s ink \u{2212} the neighbors\u{2019} mean ink): what this image adds; {}",
        full_color(maps.contribution_limit)
    );
    html! {
        <table class="class-rows" style={name_room(&props.names)}>
            <caption class="visually-hidden">
                { "Class by class: weight map, weight times ink, probabilities of teacher and student" }
            </caption>
            <thead>
                <tr class="quiet">
                    <th scope="col">{ "class" }</th>
                    <th scope="col" title={weight_help}>{ "weight" }</th>
                    <th scope="col" title={ink_help}>{ "\u{d7} ink" }</th>
                    <th scope="col" class="class-bars" title={format!("Softened by the temperature, {temperature}")}>
                        { "teacher " }<i class="swatch is-teacher" />{ " student " }<i class="swatch is-student" />
                        { if temperature == "1" { " in %".to_owned() } else { format!(" in %, T = {temperature}") } }
                    </th>
                </tr>
            </thead>
            <tbody>
                for item in maps.weights.iter().zip(&maps.contributions).enumerate() {
                    { row(item) }
                }
            </tbody>
        </table>
    }
}

fn sensible_temperature(value: f64) -> String {
    crate::components::format::plain(value)
}
