//! The chosen image, large, with the teacher's answer, its attribution, and what the autoencoder
//! makes of it.

use std::rc::Rc;

use domain::{Anchoring, Attribution, AttributionMethod, Reconstruction};
use web_sys::HtmlSelectElement;
use yew::prelude::*;

use crate::{
    components::{
        chosen::{ChosenImage, label_name},
        format::short_percent,
        problem::Problem,
        shared::Shared,
    },
    plots::{heatmap::HeatmapImage, pixel_image::PixelImage, softmax_bars::SoftmaxBars},
};

/// What can be asked of the teacher, with its name and what it shows.
const METHODS: [(AttributionMethod, &str, &str); 2] = [
    (
        AttributionMethod::Occlusion { patch_size: 3, stride: 1 },
        "Occlusion",
        "How the answer falls when a small patch is covered with paper",
    ),
    (AttributionMethod::GradientTimesInput, "Gradient \u{d7} ink", "Slope of the answer at each pixel, times its ink"),
];

/// What to show.
#[derive(Properties, PartialEq)]
pub(super) struct InstancePanelProps {
    pub(super) names: Rc<Vec<String>>,
    pub(super) instance: Rc<ChosenImage>,
    pub(super) reconstruction: Option<Rc<Reconstruction>>,
    pub(super) anchoring: Anchoring,
    pub(super) attribution: Option<Rc<Attribution>>,
    pub(super) attribution_problem: Option<Rc<Problem>>,
    pub(super) method: AttributionMethod,
    pub(super) on_method: Callback<AttributionMethod>,
}

/// Image, bars and two tiles.
#[component]
pub(super) fn InstancePanel(props: &InstancePanelProps) -> Html {
    let instance = &props.instance;
    html! {
        <div class="instance">
            <PixelImage image={instance.image.clone()} class="instance-image" alt={instance.title.clone()} />
            if let Some(soft_labels) = &instance.soft_labels {
                <SoftmaxBars names={props.names.clone()} soft_labels={soft_labels.clone()} gold={instance.gold_label} />
            } else {
                <div class="bars is-waiting quiet">{ "The teacher is reading it" }</div>
            }
            <div class="instance-tiles">
                <AttributionTile ..props_of(props) />
                <ReconstructionTile names={props.names.clone()} reconstruction={props.reconstruction.clone()}
                    anchoring={props.anchoring} />
            </div>
        </div>
    }
}

fn props_of(props: &InstancePanelProps) -> AttributionTileProps {
    AttributionTileProps {
        names: props.names.clone(),
        instance: props.instance.clone(),
        attribution: props.attribution.clone(),
        problem: props.attribution_problem.clone(),
        method: props.method,
        on_method: props.on_method.clone(),
    }
}

#[derive(Properties, PartialEq)]
struct AttributionTileProps {
    names: Rc<Vec<String>>,
    instance: Rc<ChosenImage>,
    attribution: Option<Rc<Attribution>>,
    problem: Option<Rc<Problem>>,
    method: AttributionMethod,
    on_method: Callback<AttributionMethod>,
}

/// The teacher's own attribution and which one it is.
#[component]
fn AttributionTile(props: &AttributionTileProps) -> Html {
    let heatmap = use_memo(props.attribution.clone(), |attribution| {
        attribution.as_ref().map(|attribution| Shared::new(attribution.heatmap.clone()))
    });
    let same = |method: &AttributionMethod| std::mem::discriminant(method) == std::mem::discriminant(&props.method);
    let help = METHODS.iter().find(|(method, ..)| same(method)).map_or("", |(.., help)| help);
    let on_change = props.on_method.reform(|event: Event| {
        let index = event.target_unchecked_into::<HtmlSelectElement>().selected_index();
        METHODS[usize::try_from(index).unwrap_or(0).min(METHODS.len() - 1)].0
    });
    let words = props.attribution.as_ref().map(|attribution| {
        let target = label_name(&props.names, attribution.spec.target);
        match attribution.spec.baseline {
            Some(baseline) => {
                format!("Orange ink speaks for {target}, violet ink for {}.", label_name(&props.names, baseline))
            }
            None => format!("Orange ink speaks for {target}, violet ink against it."),
        }
    });
    let dissent = props.attribution.as_ref().and_then(|attribution| attribution.dissent.as_ref());
    let dissent = dissent.map(|answer| {
        let label = label_name(&props.names, answer.predicted_label());
        let hint = format!(
            "Slopes are taken from a more exact copy of the teacher, and this image is so close to the line that the \
             copy answers {label} ({}). Read this map with care; occlusion asks the teacher itself.",
            short_percent(answer.confidence())
        );
        (format!("! its exact copy reads {label}"), hint)
    });
    let hint = format!("What the teacher itself looks at. {help}. {}", words.clone().unwrap_or_default());
    html! {
        <figure class="tile-figure" title={hint}>
            if let Some(heatmap) = &*heatmap {
                <HeatmapImage heatmap={heatmap.clone()} limit={heatmap.max_abs()} ink={props.instance.image.clone()}
                    class="tile" alt={words.unwrap_or_default()} />
            } else if let Some(problem) = &props.problem {
                <span class="tile is-blank warn">{ problem.what.clone() }</span>
            } else {
                <span class="tile is-blank is-loading"></span>
            }
            <figcaption>
                <select class="quiet-select" aria-label="Attribution of the teacher" onchange={on_change}>
                    for (index, (method, name, _)) in METHODS.iter().enumerate() {
                        <option value={index.to_string()} selected={same(method)}>{ *name }</option>
                    }
                </select>
                if let Some((words, hint)) = dissent {
                    <br /><span class="warn" title={hint}>{ words }</span>
                }
            </figcaption>
        </figure>
    }
}

#[derive(Properties, PartialEq)]
struct ReconstructionTileProps {
    names: Rc<Vec<String>>,
    reconstruction: Option<Rc<Reconstruction>>,
    anchoring: Anchoring,
}

/// What the autoencoder makes of the image, with its check in words.
#[component]
fn ReconstructionTile(props: &ReconstructionTileProps) -> Html {
    let Some(reconstruction) = &props.reconstruction else {
        return html! {
            <figure class="tile-figure"
                title="The autoencoder\u{2019}s redrawing of the image, made when you generate neighbors">
                <span class="tile is-blank"></span>
                <figcaption class="quiet">{ "Reconstruction" }</figcaption>
            </figure>
        };
    };
    let label = label_name(&props.names, reconstruction.soft_labels.predicted_label());
    let confidence = short_percent(reconstruction.soft_labels.confidence());
    let (class, words, hint) = match (reconstruction.keeps_label, props.anchoring) {
        (true, _) => (
            "good",
            format!("\u{2713} still read as {label}"),
            "The teacher gives the redrawing the same answer as the image.".to_owned(),
        ),
        (false, Anchoring::Residual) => (
            "warn",
            format!("! read as {label}"),
            format!(
                "The autoencoder repairs the image: the teacher reads the redrawing as {label} ({confidence}). \
                     Anchored neighbors keep what it left out, so they still explain the image itself."
            ),
        ),
        (false, Anchoring::None) => (
            "warn",
            format!("! read as {label}"),
            format!(
                "The autoencoder repairs the image: the teacher reads the redrawing as {label} ({confidence}). \
                     Without anchoring the neighbors surround that one, not your image. Set Anchored to yes."
            ),
        ),
    };
    html! {
        <figure class="tile-figure" title={hint}>
            <PixelImage image={reconstruction.image.clone()} class="tile"
                alt={format!("Reconstruction, read as {label}")} />
            <figcaption>{ "Reconstruction" }<br /><span class={class}>{ words }</span></figcaption>
        </figure>
    }
}
