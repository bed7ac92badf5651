//! The teacher's answer as one bar a class, the true and the predicted one marked by more than color.

use std::rc::Rc;

use domain::{Label, SoftLabels};
use yew::prelude::*;

use crate::components::{
    chosen::{label_name, name_room},
    mark::{Mark, Role},
};

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The class.
    pub label: Label,
    /// Whether it is ◆, ●, both or neither.
    pub role: Role,
    /// Length, in `[0, 1]` of the track.
    pub share: f64,
    /// In percent with one decimal, `74.8`.
    pub text: String,
}

/// One bar a class, in label order.
pub fn layout(soft_labels: &SoftLabels, gold: Option<Label>) -> Vec<Bar> {
    let predicted = Some(soft_labels.predicted_label());
    let bar = |(index, &probability): (usize, &f64)| {
        let label = Label(index as u32);
        let share = probability.clamp(0.0, 1.0);
        Bar { label, role: Role::of(label, gold, predicted), share, text: format!("{:.1}", share * 100.0) }
    };
    soft_labels.probabilities.iter().enumerate().map(bar).collect()
}

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct SoftmaxBarsProps {
    /// One name a label.
    pub names: Rc<Vec<String>>,
    /// The answer.
    pub soft_labels: SoftLabels,
    /// The true label, where it is known.
    #[prop_or_default]
    pub gold: Option<Label>,
}

/// A table that looks like bars.
#[component]
pub fn SoftmaxBars(props: &SoftmaxBarsProps) -> Html {
    html! {
        <table class="bars tabular" style={name_room(&props.names)} aria-label="How sure the teacher is of each class, in percent">
            <tbody>
                for bar in layout(&props.soft_labels, props.gold) {
                    <tr class={bar.role.class()}>
                        <th scope="row">{ label_name(&props.names, bar.label) }</th>
                        <td class="bar-mark"><Mark role={bar.role} /></td>
                        <td class="bar-track"><span style={format!("--share:{:.4}", bar.share)} /></td>
                        <td class="bar-number">{ bar.text }</td>
                    </tr>
                }
            </tbody>
        </table>
    }
}

#[cfg(test)]
mod tests {
    use domain::Temperature;

    use super::*;

    #[test]
    fn the_true_and_the_predicted_class_are_marked() {
        let soft = SoftLabels { probabilities: vec![0.187_6, 0.8, 0.012_4], temperature: Temperature::ONE };
        let bars = layout(&soft, Some(Label(0)));
        let roles: Vec<Role> = bars.iter().map(|bar| bar.role).collect();
        assert_eq!(roles, [Role::Gold, Role::Predicted, Role::Other]);
        assert_eq!(bars[0].text, "18.8");
        assert_eq!(layout(&soft, Some(Label(1)))[1].role, Role::Both);
    }
}
