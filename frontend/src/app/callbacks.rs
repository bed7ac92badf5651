//! What the views may wish for, made once: a callback that is the same at every render spares the views
//! from being drawn again.

use std::{future::Future, rc::Rc};

use domain::{Autoencoder, AutoencoderRecipe, Error, NeighborhoodSpec, ResourceName, Result, StudentSpec, Teacher};
use yew::prelude::*;

use crate::{
    api::Api,
    components::{own_digit::OwnImage, problem::Problem},
    hooks::Dispatch,
    plots::confusion_matrix::{MatrixSelection, Measure},
    route::{AttributionChoice, ExampleOrder},
    state::{Action, Part},
};

/// One callback a wish.
#[derive(Clone, PartialEq)]
pub(super) struct Callbacks {
    pub(super) teacher: Callback<String>,
    pub(super) autoencoder: Callback<String>,
    pub(super) measure: Callback<Measure>,
    pub(super) select: Callback<MatrixSelection>,
    pub(super) order: Callback<ExampleOrder>,
    pub(super) more: Callback<()>,
    pub(super) image: Callback<AttrValue>,
    pub(super) own: Callback<OwnImage>,
    pub(super) attribution: Callback<AttributionChoice>,
    pub(super) neighborhood_draft: Callback<NeighborhoodSpec>,
    pub(super) student_draft: Callback<StudentSpec>,
    pub(super) generate: Callback<()>,
    pub(super) distill: Callback<()>,
    pub(super) drag: Callback<Vec<f32>>,
    pub(super) reset_latent: Callback<()>,
    pub(super) retry_matrix: Callback<()>,
    pub(super) retry_gallery: Callback<()>,
    pub(super) retry_instance: Callback<()>,
    pub(super) retry_student: Callback<()>,
    pub(super) dismiss: Callback<()>,
    pub(super) cancel_operation: Callback<String>,
    pub(super) teacher_again: Callback<Rc<Teacher>>,
    pub(super) autoencoder_again: Callback<Rc<Autoencoder>>,
    pub(super) train_autoencoder: Callback<(String, AutoencoderRecipe)>,
    pub(super) delete_autoencoder: Callback<ResourceName>,
}

impl Callbacks {
    pub(super) fn new(dispatch: Dispatch, api: Api) -> Self {
        let retry = |part| act(&dispatch, move |()| Action::RetryWanted(part));
        Self {
            teacher: act(&dispatch, Action::TeacherChosen),
            autoencoder: act(&dispatch, Action::AutoencoderChosen),
            measure: act(&dispatch, Action::MeasureChosen),
            select: act(&dispatch, Action::Selected),
            order: act(&dispatch, Action::OrderChosen),
            more: act(&dispatch, |()| Action::MoreWanted),
            image: act(&dispatch, |key: AttrValue| Action::ExampleChosen(key.to_string())),
            own: act(&dispatch, |own: OwnImage| Action::OwnImageChosen(own.image, own.gold_label)),
            attribution: act(&dispatch, Action::AttributionChosen),
            neighborhood_draft: act(&dispatch, Action::NeighborhoodDrafted),
            student_draft: act(&dispatch, Action::StudentDrafted),
            generate: act(&dispatch, |()| Action::GenerateWanted),
            distill: act(&dispatch, |()| Action::DistillWanted),
            drag: act(&dispatch, Action::LatentDragged),
            reset_latent: act(&dispatch, |()| Action::LatentReset),
            retry_matrix: retry(Part::Matrix),
            retry_gallery: retry(Part::Gallery),
            // The two parts of the middle view fail and are asked for again together.
            retry_instance: {
                let dispatch = dispatch.clone();
                Callback::from(move |()| {
                    dispatch.dispatch(Action::RetryWanted(Part::Attribution));
                    dispatch.dispatch(Action::RetryWanted(Part::Instance));
                })
            },
            retry_student: retry(Part::Student),
            dismiss: act(&dispatch, |()| Action::ProblemDismissed),
            cancel_operation: command(&dispatch, &api, async |api, name: String| api.cancel_operation(&name).await),
            teacher_again: command(&dispatch, &api, async |api, teacher: Rc<Teacher>| {
                api.train_teacher_again(&teacher.name, &teacher.recipe).await
            }),
            autoencoder_again: command(&dispatch, &api, async |api, autoencoder: Rc<Autoencoder>| {
                api.train_autoencoder_again(&autoencoder.name, &autoencoder.recipe).await
            }),
            train_autoencoder: command(&dispatch, &api, async |api, (id, recipe): (String, AutoencoderRecipe)| {
                api.create_autoencoder(&id, &recipe).await
            }),
            delete_autoencoder: command(&dispatch, &api, async |api, name: ResourceName| {
                api.delete_autoencoder(&name).await
            }),
        }
    }
}

/// A wish that is an action.
fn act<T: 'static>(dispatch: &Dispatch, action: impl Fn(T) -> Action + 'static) -> Callback<T> {
    let dispatch = dispatch.clone();
    Callback::from(move |wish| dispatch.dispatch(action(wish)))
}

/// A wish that is a call. What comes of it arrives by the activity stream; only a failure is told here.
fn command<T, F, Answer>(dispatch: &Dispatch, api: &Api, call: F) -> Callback<T>
where
    T: 'static,
    F: Fn(Api, T) -> Answer + Clone + 'static,
    Answer: Future<Output = Result<()>>,
{
    let (dispatch, api) = (dispatch.clone(), api.clone());
    Callback::from(move |wish| {
        let (dispatch, api, call) = (dispatch.clone(), api.clone(), call.clone());
        wasm_bindgen_futures::spawn_local(async move {
            if let Err(error) = call(api, wish).await {
                dispatch.dispatch(Action::CommandFailed(problem(&error)));
            }
        });
    })
}

fn problem(error: &Error) -> Rc<Problem> {
    Rc::new(Problem::from_error(error))
}
