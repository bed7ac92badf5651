//! What the state asks for is fetched here, and the answers go back as actions. Each effect depends on
//! its question: when the question changes, the call that answers it is dropped.

pub mod address;
pub mod browser;
pub mod story;
pub mod task;

use std::rc::Rc;

use domain::Error;
use futures::channel::oneshot;
use gloo::timers::callback::Timeout;
use yew::prelude::*;

use crate::{
    api::{Api, backoff},
    components::problem::Problem,
    state::{Action, AppState},
};
use task::Task;

/// Where answers go.
pub type Dispatch = UseReducerDispatcher<AppState>;

/// Keeps the page and the server in step: the activity stream, every question the state asks, the address.
#[hook]
pub fn use_server(state: &UseReducerHandle<AppState>, api: &Api) {
    let visible = browser::use_visible();
    let dispatch = state.dispatcher();
    use_activity(visible, api.clone(), dispatch.clone());

    use_answer(state.matrix.pending(), api, &dispatch, async |api, (key, _)| {
        let result = api.confusion_matrix(&key).await.map(Rc::new);
        Action::MatrixReceived(key, result)
    });
    use_answer(state.gallery.pending(), api, &dispatch, async |api, page| {
        let result = api.list_examples(&page).await;
        Action::PageReceived(page, result)
    });
    use_answer(state.example.pending(), api, &dispatch, async |api, (key, _)| {
        let result = api.example(&key).await.map(Rc::new);
        Action::ExampleReceived(key, result)
    });
    use_answer(state.encoding.pending(), api, &dispatch, async |api, (key, _)| {
        let result = api.encode(&key).await.map(Rc::new);
        Action::EncodingReceived(key, result)
    });
    use_answer(state.attribution.pending(), api, &dispatch, async |api, (key, _)| {
        let result = api.attribute(&key).await.map(Rc::new);
        Action::AttributionReceived(key, result)
    });
    use_answer(state.story.neighbors.pending(), api, &dispatch, async |api, page| {
        let result = api.list_neighbors(&page).await;
        Action::NeighborsReceived(page, result)
    });
    let point = state.live.pending().zip(state.encoding.wanted().cloned());
    let anchored_as = state.neighborhood.clone();
    use_answer(point, api, &dispatch, async move |api, (point, key)| {
        let result = api.decode(&key, &anchored_as, point.clone()).await;
        Action::Decoded(point, result)
    });
    story::use_story(state.story.pending().filter(|_| visible), api.clone(), dispatch.clone());
    story::use_student(state.story.student.pending(), api.clone(), dispatch.clone());
    story::use_superseded(state.story.superseded(), api.clone());
    address::use_address(state.route(), dispatch);
}

/// Asks one question; the answer is dispatched. Another question drops this one.
#[hook]
fn use_answer<K, F>(question: Option<K>, api: &Api, dispatch: &Dispatch, ask: F)
where
    K: Clone + PartialEq + 'static,
    F: AsyncFnOnce(Api, K) -> Action + 'static,
{
    let (api, dispatch) = (api.clone(), dispatch.clone());
    use_effect_with(question, move |question| {
        let task = question.clone().map(|question| {
            Task::spawn(async move {
                let action = ask(api, question).await;
                dispatch.dispatch(action);
            })
        });
        move || drop(task)
    });
}

/// Hears what the server has and does, for as long as the tab can be seen. A stream that breaks is opened
/// again, later and later; it begins with a snapshot, so that nothing is lost.
#[hook]
fn use_activity(visible: bool, api: Api, dispatch: Dispatch) {
    use_effect_with(visible, move |&visible| {
        let task = visible.then(|| Task::spawn(follow_activity(api, dispatch)));
        move || drop(task)
    });
}

async fn follow_activity(api: Api, dispatch: Dispatch) {
    let mut attempt = 0;
    loop {
        let ended: Result<(), Error> = async {
            let mut stream = api.watch_activity().await?;
            while let Some(update) = stream.next().await? {
                attempt = 0;
                dispatch.dispatch(Action::CatalogChanged(update));
            }
            Ok(())
        }
        .await;
        // A server that is there and refuses says why, once. Otherwise how it broke is no news: the header says
        // that the page is reconnecting.
        if let Err(error) = ended
            && attempt == 0
            && matches!(error, Error::Unauthenticated | Error::PermissionDenied { .. } | Error::HostNotAllowed { .. })
        {
            dispatch.dispatch(Action::CommandFailed(Rc::new(Problem::from_error(&error))));
        }
        dispatch.dispatch(Action::Disconnected);
        pause(attempt).await;
        attempt += 1;
    }
}

/// Waits as long as [`backoff::delay_ms`] says.
pub(crate) async fn pause(attempt: u32) {
    let (end, ended) = oneshot::channel::<()>();
    let timeout = Timeout::new(backoff::delay_ms(attempt, js_sys::Math::random()), || {
        // Nobody waits any more: then there is nobody to wake.
        let _ = end.send(());
    });
    let _ = ended.await;
    drop(timeout);
}
