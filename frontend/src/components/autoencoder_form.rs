//! Hyperparameters for another autoencoder.

use std::rc::Rc;

use domain::{AutoencoderRecipe, Dataset};
use yew::prelude::*;

use super::{
    box_errors::use_box_errors,
    draft_boxes::{DraftBoxes, NumberField},
    number_box::NumberRange,
    select_box::SelectBox,
};

/// What to show.
#[derive(Properties, PartialEq)]
pub struct AutoencoderFormProps {
    /// What it can learn from.
    pub dataset: Rc<Dataset>,
    /// Names that are taken.
    pub taken: Rc<Vec<String>>,
    /// The button was pressed: the `{a}` of its name, and its recipe.
    pub on_train: Callback<(String, AutoencoderRecipe)>,
}

const FIELDS: [NumberField<AutoencoderRecipe>; 7] = [
    NumberField {
        id: "vae-dimensions",
        label: "Latent dimensions",
        help: "How many numbers describe an image: the axes of the middle view",
        range: NumberRange::whole(2.0, 64.0),
        get: |recipe| Some(recipe.latent_dimension_count.into()),
        set: |recipe, value| recipe.latent_dimension_count = value as u32,
    },
    NumberField {
        id: "vae-epochs",
        label: "Epochs",
        help: "How often it sees every image",
        range: NumberRange::whole(1.0, 1_000.0),
        get: |recipe| Some(recipe.epoch_count.into()),
        set: |recipe, value| recipe.epoch_count = value as u32,
    },
    NumberField {
        id: "vae-rate",
        label: "Learning rate",
        help: "Size of a step: too large diverges, too small takes long",
        range: NumberRange::above(0.0, 1.0),
        get: |recipe| Some(recipe.learning_rate),
        set: |recipe, value| recipe.learning_rate = value,
    },
    NumberField {
        id: "vae-beta",
        label: "\u{3b2}",
        help: "Weight of order in latent space against sharpness of the images",
        range: NumberRange::above(0.0, 100.0),
        get: |recipe| Some(recipe.beta),
        set: |recipe, value| recipe.beta = value,
    },
    NumberField {
        id: "vae-hidden",
        label: "Hidden units",
        help: "Size of each hidden layer",
        range: NumberRange::whole(8.0, 4_096.0),
        get: |recipe| Some(recipe.hidden_size.into()),
        set: |recipe, value| recipe.hidden_size = value as u32,
    },
    NumberField {
        id: "vae-batch",
        label: "Batch",
        help: "Images a step",
        range: NumberRange::whole(1.0, 4_096.0),
        get: |recipe| Some(recipe.batch_size.into()),
        set: |recipe, value| recipe.batch_size = value as u32,
    },
    NumberField {
        id: "vae-seed",
        label: "Seed",
        help: "Start of all chance: the same seed gives the same autoencoder",
        range: NumberRange::SEED,
        get: |recipe| Some(recipe.seed as f64),
        set: |recipe, value| recipe.seed = value as u64,
    },
];

/// The boxes and the button.
#[component]
pub fn AutoencoderForm(props: &AutoencoderFormProps) -> Html {
    let defaults = defaults(&props.dataset);
    let recipe = use_state_eq(|| defaults.clone());
    let (is_wrong, on_valid) = use_box_errors();
    let splits: Vec<AttrValue> = props.dataset.splits.iter().map(|split| AttrValue::from(split.id.clone())).collect();
    let position = |id: &str| props.dataset.splits.iter().position(|split| split.id == id);
    let default_split = position(&defaults.training_split);
    let on_split = {
        let (recipe, dataset) = (recipe.clone(), props.dataset.clone());
        Callback::from(move |index: usize| {
            if let Some(split) = dataset.splits.get(index) {
                recipe.set(AutoencoderRecipe { training_split: split.id.clone(), ..(*recipe).clone() });
            }
        })
    };
    let on_draft = {
        let recipe = recipe.clone();
        Callback::from(move |changed| recipe.set(changed))
    };
    let boxes = DraftBoxes { draft: Rc::new((*recipe).clone()), defaults, on_draft, on_valid };
    let id = free_id(&recipe, &props.taken);
    let on_train = {
        let (recipe, id, on_train) = (recipe.clone(), id.clone(), props.on_train.clone());
        Callback::from(move |_: MouseEvent| on_train.emit((id.clone(), (*recipe).clone())))
    };
    html! {
        <div class="autoencoder-form">
            <div class="fields">
                for field in &FIELDS {
                    { boxes.number(field) }
                }
                <SelectBox id="vae-split" label="Learns from" help="Which file of the data set it sees"
                    options={splits} selected={position(&recipe.training_split).unwrap_or(0)}
                    default={default_split} on_change={on_split} />
            </div>
            <div class="row">
                <button class="button primary" type="button" disabled={is_wrong} onclick={on_train}>{ "Train it" }</button>
                <span class="quiet">{ format!("It will be called {id}.") }</span>
            </div>
        </div>
    }
}

/// The largest split, since an autoencoder needs no labels to keep from it.
fn defaults(dataset: &Dataset) -> AutoencoderRecipe {
    let largest = dataset.splits.iter().max_by_key(|split| split.example_count);
    AutoencoderRecipe::defaults(dataset.name.clone(), largest.map(|split| split.id.clone()).unwrap_or_default())
}

/// `vae-10`, or `vae-10-2` where that is taken.
fn free_id(recipe: &AutoencoderRecipe, taken: &[String]) -> String {
    let base = format!("vae-{}", recipe.latent_dimension_count);
    let numbered = (2_u32..).map(|n| format!("{base}-{n}"));
    let is_free = |id: &String| !taken.contains(id);
    std::iter::once(base.clone()).chain(numbered).find(is_free).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{components::draft_boxes::check_fields, state::testing};

    #[test]
    fn a_new_autoencoder_takes_the_first_free_name() {
        let recipe = defaults(&testing::dataset());
        assert_eq!(free_id(&recipe, &[]), "vae-10");
        assert_eq!(free_id(&recipe, &["vae-10".to_owned(), "vae-10-2".to_owned()]), "vae-10-3");
    }

    #[test]
    fn the_boxes_allow_what_the_server_allows_and_no_more() {
        let fields: Vec<_> = FIELDS.iter().collect();
        check_fields(&fields, &defaults(&testing::dataset()), |recipe| recipe.validate().is_ok());
    }
}
