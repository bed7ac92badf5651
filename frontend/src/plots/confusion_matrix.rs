//! The confusion matrix as a grid to walk: rows are the true label, columns what the teacher said.
//! The diagonal is pale so that it does not drown the errors; cells without images are empty.

pub mod layout;
pub mod walk;
pub mod words;

use std::rc::Rc;

use domain::{ConfusionMatrix, Label};
use yew::prelude::*;

pub use layout::{MatrixSelection, Measure};
pub use words::sentence;

use crate::components::{
    chosen::{label_name, name_room},
    focus::focus_within,
};

/// What to draw.
#[derive(Properties, PartialEq)]
pub struct ConfusionMatrixPlotProps {
    /// The counts.
    pub matrix: Rc<ConfusionMatrix>,
    /// One name a label.
    pub names: Rc<Vec<String>>,
    /// What the numbers say.
    #[prop_or_default]
    pub measure: Measure,
    /// What is chosen.
    pub selection: MatrixSelection,
    /// A cell, a row or a column was chosen.
    pub on_select: Callback<MatrixSelection>,
    /// The pointer or the focus is over something else.
    #[prop_or_default]
    pub on_hover: Callback<MatrixSelection>,
}

/// A grid with one tab stop: arrows, Home, End, Page Up and Page Down walk, Enter chooses.
#[component]
pub fn ConfusionMatrixPlot(props: &ConfusionMatrixPlotProps) -> Html {
    let grid = use_node_ref();
    let hovered = use_state_eq(MatrixSelection::default);
    let active = use_state_eq(|| walk::position_of(props.selection));
    let label_count = props.matrix.label_count();
    let cells = use_memo((props.matrix.clone(), props.measure), |(matrix, measure)| layout::cells(matrix, *measure));

    let hover = {
        let (hovered, on_hover) = (hovered.clone(), props.on_hover.clone());
        Callback::from(move |selection: MatrixSelection| {
            if *hovered != selection {
                hovered.set(selection);
                on_hover.emit(selection);
            }
        })
    };
    let on_key_down = {
        let (grid, active, on_select) = (grid.clone(), active.clone(), props.on_select.clone());
        Callback::from(move |event: KeyboardEvent| {
            if matches!(event.key().as_str(), "Enter" | " ") {
                event.prevent_default();
                on_select.emit(walk::selection_at(*active));
            } else if let Some(next) = walk::walk(*active, &event.key(), label_count) {
                event.prevent_default();
                active.set(next);
                focus_within(&grid, &format!("[data-at='{}']", key(next)));
            }
        })
    };
    let choose = {
        let (active, on_select) = (active.clone(), props.on_select.clone());
        Callback::from(move |position: (i32, i32)| {
            active.set(position);
            on_select.emit(walk::selection_at(position));
        })
    };
    // One set of handlers and attributes for all that can be walked to.
    let at = |position: (i32, i32), class: Classes, role: &'static str, spoken: String, content: Html| {
        let selection = walk::selection_at(position);
        let lit = walk::is_lit(position, *hovered) || walk::is_lit(position, props.selection);
        let selected = selection == props.selection;
        let class = classes!(class, lit.then_some("is-lit"), selected.then_some("is-selected"));
        let (enter, leave, pressed) = (hover.clone(), hover.clone(), choose.clone());
        html! {
            <td {class} {role} aria-label={spoken} aria-selected={selected.to_string()}
                tabindex={if position == *active { "0" } else { "-1" }} data-at={key(position)}
                onclick={move |_| pressed.emit(position)}
                onmouseenter={move |_| enter.emit(selection)}
                onmouseleave={move |_| leave.emit(MatrixSelection::None)}
            >{ content }</td>
        }
    };
    let labels: Vec<Label> = (0..label_count as u32).map(Label).collect();
    let name = |label: Label| label_name(&props.names, label);

    html! {
        <table class="matrix tabular" role="grid" ref={grid} onkeydown={on_key_down}
            aria-label="Confusion matrix: rows are the true label, columns what the teacher said"
            style={format!("--n:{label_count};{}", name_room(&props.names))}
        >
            <thead>
                <tr role="row">
                    <td class="matrix-corner" aria-hidden="true"></td>
                    for label in labels.iter().copied() {
                        { at((-1, label.0 as i32), classes!("matrix-head"), "columnheader",
                            format!("All images the teacher called {}", name(label)), html! { name(label) }) }
                    }
                    <td class="matrix-recall-head quiet"
                        title="Recall: share of the images of this class that the teacher found">
                        { "found %" }
                    </td>
                </tr>
            </thead>
            <tbody>
                for gold in labels.iter().copied() {
                    <tr role="row">
                        { at((gold.0 as i32, -1), classes!("matrix-head"), "rowheader",
                            format!("All images of {}", name(gold)), html! { name(gold) }) }
                        for predicted in labels.iter().copied() {
                            { {
                                let cell = &cells[gold.index() * label_count + predicted.index()];
                                let class = classes!("matrix-cell", cell.class());
                                let content = html! {
                                    <span style={format!("--shade:{:.3}", cell.shade)}>{ cell.text.clone() }</span>
                                };
                                let selection = MatrixSelection::Cell { gold, predicted };
                                at((gold.0 as i32, predicted.0 as i32), class, "gridcell",
                                    sentence(&props.matrix, &props.names, selection), content)
                            } }
                        }
                        <td class="matrix-recall">
                            if let Some(recall) = props.matrix.recall(gold) {
                                <span style={format!("--share:{recall:.4}")}>{ format!("{:.1}", recall * 100.0) }</span>
                            }
                        </td>
                    </tr>
                }
            </tbody>
        </table>
    }
}

fn key(position: (i32, i32)) -> String {
    format!("{}:{}", position.0, position.1)
}
