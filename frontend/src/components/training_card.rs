//! A model in the making: how far it is, how well it does, what is left, and a way to stop it or to
//! start it again.

pub mod words;

use std::rc::Rc;

use domain::{ModelState, TrainingPhase};
use yew::prelude::*;

use crate::{
    components::{
        notice::{Notice, Tone},
        progress_line::ProgressLine,
    },
    plots::loss_curve::LossCurve,
    state::{Activity, Viewer},
};

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// A classifier: loss in nats of cross-entropy, and an accuracy.
    Teacher,
    /// A VAE: loss in nats of negative ELBO an image.
    Autoencoder,
}

impl ModelKind {
    /// `teacher`, `autoencoder`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Autoencoder => "autoencoder",
        }
    }

    /// What the loss is measured in.
    fn loss_unit(self) -> &'static str {
        match self {
            Self::Teacher => "nats an image",
            Self::Autoencoder => "nats an image, pixels and code",
        }
    }
}

/// What to show.
#[derive(Properties, PartialEq)]
pub struct TrainingCardProps {
    /// What is made.
    pub kind: ModelKind,
    /// Its name, for people.
    pub name: AttrValue,
    /// Whether it can be used.
    pub state: ModelState,
    /// What is making it, as far as the page knows.
    pub activity: Option<Rc<Activity>>,
    /// Who looks at it: only they can stop it and start it again whose it is.
    pub viewer: Viewer,
    /// Who asked for the model.
    pub creator: AttrValue,
    /// Cancel was pressed; the operation's name.
    pub on_cancel: Callback<String>,
    /// Start again was pressed.
    pub on_again: Callback<()>,
}

/// One model's training.
#[component]
pub fn TrainingCard(props: &TrainingCardProps) -> Html {
    let noun = props.kind.noun();
    if let ModelState::Failed(reason) = &props.state {
        let is_mine = props.viewer.may_change(&props.creator);
        let text = if is_mine { words::failure(reason) } else { words::failure_of_another(reason, &props.creator) };
        let action = is_mine.then(|| AttrValue::from("Start again"));
        return html! {
            <Notice tone={Tone::Bad} title={format!("The {noun} {} has no weights.", props.name)} {text} {action}
                on_action={props.on_again.clone()} />
        };
    }
    let Some(activity) = props.activity.as_ref().filter(|activity| activity.progress.is_some()) else {
        return html! { <ProgressLine words={format!("The {noun} {} is about to start training", props.name)} /> };
    };
    let Some(progress) = &activity.progress else { return Html::default() };
    let on_cancel = {
        let (on_cancel, name) = (props.on_cancel.clone(), activity.name.clone());
        Callback::from(move |_: MouseEvent| on_cancel.emit(name.clone()))
    };
    let evaluating = progress.phase == TrainingPhase::Evaluating;
    html! {
        <div class="training" data-phase={words::phase_id(progress.phase)}>
            <div class="spread">
                <h3>{ words::title(props.kind, progress.phase) }{ " " }<b>{ props.name.clone() }</b></h3>
                if !activity.done && props.viewer.may_change(&activity.creator) {
                    <button class="button" type="button" onclick={on_cancel}>{ "Cancel" }</button>
                }
            </div>
            <ProgressLine fraction={activity.fraction()} words={words::steps(progress)} />
            <dl class="facts tabular">
                for (term, value) in words::facts(props.kind, progress) {
                    <div><dt>{ term }</dt><dd>{ value }</dd></div>
                }
            </dl>
            if !evaluating && !activity.curve.is_empty() {
                <LossCurve points={activity.curve.clone()} step_count={progress.step_count}
                    title={format!("Loss of the {noun}")} unit={props.kind.loss_unit()} />
            }
        </div>
    }
}
