//! Making and watching one explanation, and distilling again from its neighbors.

use std::rc::Rc;

use domain::{Error, ResourceName, Result, Student};
use yew::prelude::*;

use super::{Dispatch, pause, task::Task};
use crate::{
    api::{Api, StudentAnswer},
    components::problem::SERVER,
    state::{Action, ExplanationRequest, StudentRequest, story::StoryRun},
};

/// Most times a watch is opened again before the person is asked.
const MAX_RECONNECT_COUNT: u32 = 8;

/// Makes the explanation and follows it to its end. Hiding the tab ends the watch, not the work.
#[hook]
pub(super) fn use_story(run: Option<StoryRun>, api: Api, dispatch: Dispatch) {
    use_effect_with(run, move |run| {
        let task = run.clone().map(|run| {
            Task::spawn(async move {
                let request = run.request;
                if let Err(error) = follow(&api, &request, &dispatch).await {
                    dispatch.dispatch(Action::ExplanationFailed(request, error));
                }
            })
        });
        move || drop(task)
    });
}

async fn follow(api: &Api, request: &Rc<ExplanationRequest>, dispatch: &Dispatch) -> Result<()> {
    let name = api.create_explanation(request).await?;
    let mut reconnect_count = 0;
    loop {
        let end = match watch(api, &name, request, dispatch).await {
            Ok(true) => return Ok(()),
            Ok(false) => Error::UpstreamUnavailable { service: SERVER.to_owned() },
            Err(error) => error,
        };
        let may_pass = matches!(end, Error::UpstreamUnavailable { .. } | Error::DeadlineExceeded);
        if !may_pass || reconnect_count >= MAX_RECONNECT_COUNT {
            return Err(end);
        }
        pause(reconnect_count).await;
        reconnect_count += 1;
    }
}

/// Dispatches every snapshot. Whether the last one said that the explanation is done.
async fn watch(api: &Api, name: &ResourceName, request: &Rc<ExplanationRequest>, dispatch: &Dispatch) -> Result<bool> {
    let mut stream = api.watch_explanation(name).await?;
    let mut done = false;
    while let Some(explanation) = stream.next().await? {
        done = explanation.is_done();
        dispatch.dispatch(Action::ExplanationReceived(request.clone(), Box::new(explanation)));
    }
    Ok(done)
}

/// Distills another student; asking for another one stops this.
#[hook]
pub(super) fn use_student(question: Option<(StudentRequest, u32)>, api: Api, dispatch: Dispatch) {
    use_effect_with(question, move |question| {
        let task = question.clone().map(|(request, _)| {
            Task::spawn(async move {
                let result = fit(&api, &request, &dispatch).await;
                dispatch.dispatch(Action::StudentReceived(request, result));
            })
        });
        move || drop(task)
    });
}

async fn fit(api: &Api, request: &StudentRequest, dispatch: &Dispatch) -> Result<Box<Student>> {
    let mut stream = api.fit_student(request).await?;
    while let Some(answer) = stream.next().await? {
        match answer {
            StudentAnswer::Progress(fit) => dispatch.dispatch(Action::StudentProgressed(request.clone(), fit)),
            StudentAnswer::Student(student) => return Ok(student),
        }
    }
    Err(Error::unexpected("the stream ended without a student"))
}

/// Gives up an explanation that nobody waits for any more. Should that fail, it ends by itself.
#[hook]
pub(super) fn use_superseded(name: Option<ResourceName>, api: Api) {
    use_effect_with(name, move |name| {
        if let Some(name) = name.clone() {
            wasm_bindgen_futures::spawn_local(async move {
                let _ = api.delete_explanation(&name).await;
            });
        }
    });
}
