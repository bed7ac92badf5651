//! The chosen cell's images, in an order of the person's choosing, more of them by scrolling.

use std::rc::Rc;

use yew::prelude::*;

use crate::{
    components::{
        empty::Empty, format::count, notice::ProblemNotice, problem::Problem, shared::Shared, toggle::Toggle,
    },
    plots::{
        confusion_matrix::MatrixSelection,
        gallery::{Gallery, Thumbnail},
    },
    route::ExampleOrder,
    state::gallery::MAX_IMAGE_COUNT,
};

/// What is shown and where wishes go.
#[derive(Properties, PartialEq, Clone)]
pub struct ImagesProps {
    /// Those that have arrived.
    pub thumbnails: Shared<Vec<Thumbnail>>,
    /// Images on all pages.
    pub total: u64,
    /// Key of the one that is explained.
    pub selected: Option<AttrValue>,
    /// Whether scrolling brings more.
    pub more: bool,
    /// Whether some are on their way.
    pub loading: bool,
    /// Whether those shown belong to an earlier selection.
    pub stale: bool,
    /// Why some are missing.
    pub problem: Option<Rc<Problem>>,
    /// What is chosen in the matrix.
    pub selection: MatrixSelection,
    /// What comes first.
    pub order: ExampleOrder,
    /// An image was chosen.
    pub on_image: Callback<AttrValue>,
    /// The end was scrolled to.
    pub on_more: Callback<()>,
    /// Another order.
    pub on_order: Callback<ExampleOrder>,
    /// The missing page is wanted again.
    pub on_retry: Callback<()>,
}

/// Count, order, list box.
#[component]
pub(super) fn Images(props: &ImagesProps) -> Html {
    let orders = ExampleOrder::ALL.map(|order| AttrValue::from(order.title())).to_vec();
    let selected = ExampleOrder::ALL.iter().position(|order| *order == props.order).unwrap_or(0);
    let on_order = props.on_order.reform(|index: usize| ExampleOrder::ALL[index.min(ExampleOrder::ALL.len() - 1)]);
    let title = title(props.total, props.selection);
    let is_first_page = props.thumbnails.is_empty() && props.loading;
    let is_empty = props.thumbnails.is_empty() && !props.loading && props.problem.is_none();
    html! {
        <>
            <div class="row spread images-head">
                <p>
                    <b>{ if is_first_page { "Images".to_owned() } else { title.clone() } }</b>
                    <span class="quiet">{ format!(" {}", note(props)) }</span>
                </p>
                <Toggle label="Order of the images" options={orders} {selected} on_change={on_order}
                    help="Confidence: where the teacher was surest. Margin: where it hesitated most between two classes. Index: as in the file." />
            </div>
            if let Some(problem) = &props.problem {
                <ProblemNotice problem={problem.clone()} on_retry={props.on_retry.clone()} />
            }
            if is_empty {
                <Empty title="No images here" text="The teacher never gave this answer to this class. Choose another cell." />
            } else {
                <div class={classes!(props.stale.then_some("dim"))} aria-busy={props.loading.to_string()}>
                    <Gallery thumbnails={props.thumbnails.clone()} selected={props.selected.clone()} more={props.more}
                        loading={props.loading} label={title} on_select={props.on_image.clone()} on_more={props.on_more.clone()} />
                </div>
            }
        </>
    }
}

fn note(props: &ImagesProps) -> String {
    let is_cut = props.total > MAX_IMAGE_COUNT as u64 && props.thumbnails.len() >= MAX_IMAGE_COUNT;
    if is_cut {
        format!("the first {} are shown", count(MAX_IMAGE_COUNT as u64))
    } else {
        props.order.words().to_owned()
    }
}

/// `45 images`, `1,470 errors`.
fn title(total: u64, selection: MatrixSelection) -> String {
    let is_cell = matches!(selection, MatrixSelection::Cell { .. });
    let noun = match (is_cell, total) {
        (true, 1) => "image",
        (true, _) => "images",
        (false, 1) => "error",
        (false, _) => "errors",
    };
    format!("{} {noun}", count(total))
}

#[cfg(test)]
mod tests {
    use domain::Label;

    use super::*;

    #[test]
    fn a_cell_holds_images_and_everything_else_errors() {
        let cell = MatrixSelection::Cell { gold: Label(3), predicted: Label(5) };
        assert_eq!(title(45, cell), "45 images");
        assert_eq!(title(1, cell), "1 image");
        assert_eq!(title(1_470, MatrixSelection::None), "1,470 errors");
        assert_eq!(title(1, MatrixSelection::Row(Label(3))), "1 error");
    }
}
