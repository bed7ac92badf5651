//! The shell: one state, one door to the server, three views that show the state and dispatch actions.

mod callbacks;
mod middle;
mod notices;

use std::rc::Rc;

use yew::prelude::*;

use self::{callbacks::Callbacks, middle::Middle, notices::Notices};
use crate::{
    api::{Api, Tracer, trace},
    components::{help_dialog::HelpDialog, models_dialog::ModelsDialog},
    export::explanation_json,
    header::Header,
    hooks::{browser, use_server},
    route::Route,
    state::{AppState, Catalog, Subject},
    views::{
        student::{StudentProgress, StudentView},
        teacher::{ImagesProps, TeacherView},
    },
};

/// Puts the page on the page.
pub fn start() {
    console_error_panic_hook::set_once();
    yew::Renderer::<App>::new().render();
}

/// Everything.
#[component]
pub fn App() -> Html {
    let state = use_reducer(|| AppState::at(&Route::parse(&browser::query())));
    let api = use_memo((), |()| Api::new(&browser::origin(), Tracer::new(trace::random_bits)));
    browser::use_traced_clicks(api.tracer());
    use_server(&state, &api);
    let on = use_memo((), |()| Callbacks::new(state.dispatcher(), (*api).clone()));
    let shows_models = use_state_eq(|| false);
    let shows_help = use_state_eq(|| false);
    let on_models = open(&shows_models);
    let on_help = open(&shows_help);
    browser::use_help_key(on_help.clone());

    let names = use_memo(state.label_names(), Clone::clone);
    let catalog = use_memo(state.catalog.clone(), Catalog::clone);
    let chosen = use_memo(state.chosen(), Clone::clone);
    let instance = chosen.as_ref().as_ref().map(|chosen| Rc::new(chosen.clone()));
    let activity = |target: &domain::ResourceName, operation: &str| state.catalog.activity(target, operation).cloned();
    let teacher_activity = state.teacher().and_then(|teacher| activity(&teacher.name, &teacher.operation));
    let autoencoder_activity = state.autoencoder().and_then(|it| activity(&it.name, &it.operation));
    let explains_own = matches!(state.subject, Some(Subject::Own(..)));
    let on_train = {
        let (train, shows_models) = (on.train_autoencoder.clone(), shows_models.clone());
        Callback::from(move |wish| {
            shows_models.set(true);
            train.emit(wish);
        })
    };

    html! {
        <div class="app">
            <Header connection={state.connection} teacher={state.teacher().cloned()} teacher_activity={teacher_activity.clone()}
                dataset={state.dataset().cloned()} matrix={state.matrix.latest().cloned()}
                autoencoder={state.autoencoder().cloned()} autoencoder_activity={autoencoder_activity.clone()}
                {explains_own} export={export(&state)} {on_models} {on_help} />
            <Notices connection={state.connection} problem={state.command_problem.clone()} on_dismiss={on.dismiss.clone()} />
            <main class="views">
                <TeacherView names={names.clone()} connection={state.connection} teacher={state.teacher().cloned()}
                    viewer={state.catalog.viewer.clone()} dataset={state.dataset().cloned()} activity={teacher_activity}
                    matrix={state.matrix.latest().cloned()} matrix_is_loading={state.matrix.is_loading()}
                    matrix_problem={state.matrix.problem()} measure={state.measure} selection={state.selection}
                    images={images(&state, &on)} {explains_own} on_measure={on.measure.clone()} on_select={on.select.clone()}
                    on_own={on.own.clone()} on_retry={on.retry_matrix.clone()} on_cancel={on.cancel_operation.clone()}
                    on_again={again(state.teacher().cloned(), &on.teacher_again)} />
                <Middle state={Rc::new((*state).clone())} names={names.clone()} instance={instance.clone()}
                    activity={autoencoder_activity} on={on.clone()} />
                <StudentView names={names.clone()} {instance} student={state.story.shown_student()}
                    draft={state.student_spec.clone()} progress={student_progress(&state)} stale={state.story.student_is_stale()}
                    can_distill={state.story.finished().is_some()} problem={state.story.student.problem()}
                    on_draft={on.student_draft.clone()} on_distill={on.distill.clone()} on_retry={on.retry_student.clone()} />
            </main>
            <ModelsDialog open={*shows_models} {catalog} teacher={state.teacher().cloned()} autoencoder={state.autoencoder().cloned()}
                dataset={state.dataset().cloned()} on_close={close(&shows_models)} on_teacher={on.teacher.clone()}
                on_autoencoder={on.autoencoder.clone()} on_cancel={on.cancel_operation.clone()}
                on_teacher_again={on.teacher_again.clone()} on_autoencoder_again={on.autoencoder_again.clone()}
                on_delete_autoencoder={on.delete_autoencoder.clone()} {on_train} />
            <HelpDialog open={*shows_help} on_close={close(&shows_help)} />
        </div>
    }
}

fn open(shown: &UseStateHandle<bool>) -> Callback<()> {
    let shown = shown.clone();
    Callback::from(move |()| shown.set(true))
}

fn close(shown: &UseStateHandle<bool>) -> Callback<()> {
    let shown = shown.clone();
    Callback::from(move |()| shown.set(false))
}

/// Trains the model in use again.
fn again<T: 'static>(model: Option<Rc<T>>, on_again: &Callback<Rc<T>>) -> Callback<()> {
    let on_again = on_again.clone();
    Callback::from(move |()| {
        if let Some(model) = &model {
            on_again.emit(model.clone());
        }
    })
}

fn images(state: &AppState, on: &Callbacks) -> ImagesProps {
    let gallery = &state.gallery;
    ImagesProps {
        thumbnails: gallery.thumbnails(),
        total: gallery.total(),
        selected: match &state.subject {
            Some(Subject::Example(id)) => Some(AttrValue::from(id.clone())),
            _ => None,
        },
        more: gallery.has_more(),
        loading: gallery.is_loading(),
        stale: gallery.is_stale(),
        problem: gallery.problem(),
        selection: state.selection,
        order: state.order,
        on_image: on.image.clone(),
        on_more: on.more.clone(),
        on_order: on.order.clone(),
        on_retry: on.retry_gallery.clone(),
    }
}

/// The explanation as a file, once it is complete.
fn export(state: &AppState) -> Option<Callback<(), (String, String)>> {
    state.story.finished()?;
    let explanation = state.story.current()?.clone();
    let student = state.story.shown_student()?;
    let names = state.label_names();
    Some(Callback::from(move |()| {
        let name = format!("{}.json", explanation.name.id());
        (name, explanation_json(&explanation, &student, &names))
    }))
}

/// While neighbors are being labeled their number counts; while a student is fitted again, its steps do.
fn student_progress(state: &AppState) -> Option<StudentProgress> {
    let story = &state.story;
    if let Some(fit) = story.fit() {
        let (done, all) = (fit.iteration as usize, fit.iteration_count as usize);
        return Some(StudentProgress { neighbor_count: done, neighbor_target: all });
    }
    if story.student.is_loading() {
        return Some(StudentProgress { neighbor_count: 0, neighbor_target: 0 });
    }
    let request = story.request().filter(|_| story.is_running())?;
    let labeled = story.current().map_or(0, |current| current.labeled_neighbor_count);
    Some(StudentProgress { neighbor_count: labeled, neighbor_target: request.neighborhood.neighbor_count })
}
