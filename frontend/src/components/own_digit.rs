//! An image of one's own: drawn or from a file, shown as the teacher will see it before it is used.

use std::rc::Rc;

use domain::{Image, ImageShape, Label};
use yew::prelude::*;

use super::{
    draw_pad::DrawPad, drawing::InkPicture, drop_zone::DropZone, notice::ProblemNotice, problem::Problem,
    select_box::SelectBox,
};
use crate::plots::pixel_image::PixelImage;

/// What the user brought.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnImage {
    /// In the data set's shape.
    pub image: Image,
    /// What it is, if the user said so.
    pub gold_label: Option<Label>,
}

/// What to show.
#[derive(Properties, PartialEq)]
pub struct OwnDigitProps {
    /// Of the data set's images.
    pub shape: ImageShape,
    /// One name a label.
    pub names: Rc<Vec<String>>,
    /// The image was chosen to be explained.
    pub on_use: Callback<OwnImage>,
}

/// Paper, file box, preview, label and the button that acts.
#[component]
pub fn OwnDigit(props: &OwnDigitProps) -> Html {
    let image = use_state_eq(|| None::<Image>);
    let problem = use_state_eq(|| None::<Rc<Problem>>);
    let gold = use_state_eq(|| None::<Label>);
    let take = {
        let (image, problem, shape) = (image.clone(), problem.clone(), props.shape);
        Callback::from(move |picture: Option<InkPicture>| {
            problem.set(None);
            image.set(picture.and_then(|picture| picture.to_image(shape)));
        })
    };
    let on_problem = {
        let problem = problem.clone();
        Callback::from(move |found: Problem| problem.set(Some(Rc::new(found))))
    };
    let on_use = {
        let (image, gold, on_use) = (image.clone(), gold.clone(), props.on_use.clone());
        Callback::from(move |_: MouseEvent| {
            if let Some(image) = (*image).clone() {
                on_use.emit(OwnImage { image, gold_label: *gold });
            }
        })
    };
    let mut options = vec![AttrValue::from("I don\u{2019}t say")];
    options.extend(props.names.iter().map(|name| AttrValue::from(name.clone())));
    let on_gold = {
        let gold = gold.clone();
        Callback::from(move |index: usize| gold.set(index.checked_sub(1).map(|index| Label(index as u32))))
    };
    html! {
        <div class="own-digit">
            <DrawPad on_picture={take.clone()} />
            <div class="own-digit-side">
                <DropZone on_picture={take.reform(Some)} {on_problem} />
                if let Some(problem) = &*problem {
                    <ProblemNotice problem={problem.clone()} />
                }
                <div class="own-digit-preview">
                    if let Some(image) = &*image {
                        <PixelImage image={image.clone()} class="tile" alt="Your digit as the teacher will see it" />
                        <span class="quiet">{ "as the teacher will see it" }</span>
                    } else {
                        <span class="tile is-blank"></span>
                        <span class="quiet">{ "Draw a digit, or choose a file." }</span>
                    }
                </div>
                <SelectBox id="own-gold" label="It is a"
                    help="The true label, if you know it: the map then says why not this one"
                    {options} selected={gold.map_or(0, |label| label.index() + 1)} on_change={on_gold} />
                <button class="button primary" disabled={image.is_none()} onclick={on_use}>
                    { "Explain this image" }
                </button>
            </div>
        </div>
    }
}
