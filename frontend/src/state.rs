//! All that the page knows, and nothing that it draws. Changed only by [`reduce`]; what follows from it
//! is asked through `selectors`.

pub mod action;
pub mod catalog;
pub mod gallery;
pub mod keys;
pub mod live;
pub mod neighbors;
pub mod reduce;
pub mod remote;
mod selectors;
pub mod story;
#[cfg(test)]
pub(crate) mod testing;
pub mod viewer;

use std::rc::Rc;

use domain::{Attribution, ConfusionMatrix, Example, Image, Label, NeighborhoodSpec, StudentSpec};
use yew::Reducible;

pub use action::{Action, Part};
pub use catalog::{Activity, Catalog, CatalogUpdate};
pub use keys::{AttributionKey, Encoding, EncodingKey, ExampleKey, ExplanationRequest, MatrixKey, StudentRequest};
pub use reduce::reduce;
pub use remote::Remote;
pub use viewer::Viewer;

use crate::{
    components::problem::Problem,
    plots::confusion_matrix::{MatrixSelection, Measure},
    route::{AttributionChoice, ExampleOrder, Route},
};

/// Whether the page hears the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connection {
    /// Not yet.
    #[default]
    Connecting,
    /// Yes.
    Live,
    /// Not any more; it tries again by itself.
    Reconnecting,
    /// Trying again did not help; it goes on trying.
    Lost,
}

/// What is explained.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// The `{e}` of an example of the teacher's data set.
    Example(String),
    /// An image of one's own, with its label where the person said one.
    Own(Image, Option<Label>),
}

/// The page's state. Cheap to clone: big values are shared.
#[derive(Debug, Clone, PartialEq)]
pub struct AppState {
    /// Whether the page hears the server.
    pub connection: Connection,
    /// What there is and what is being trained.
    pub catalog: Catalog,
    /// The teacher someone named; else the page chooses.
    pub teacher_choice: Option<String>,
    /// The autoencoder someone named; else the page chooses.
    pub autoencoder_choice: Option<String>,
    /// What the matrix's cells say.
    pub measure: Measure,
    /// What is chosen in the matrix.
    pub selection: MatrixSelection,
    /// Order of the gallery.
    pub order: ExampleOrder,
    /// Where the teacher is wrong.
    pub matrix: Remote<MatrixKey, Rc<ConfusionMatrix>>,
    /// The selected images.
    pub gallery: gallery::Gallery,
    /// What is explained.
    pub subject: Option<Subject>,
    /// The example that is explained.
    pub example: Remote<ExampleKey, Rc<Example>>,
    /// Where the instance lies.
    pub encoding: Remote<EncodingKey, Rc<Encoding>>,
    /// Which attribution stands beside the image.
    pub attribution_choice: AttributionChoice,
    /// Which pixels move the teacher.
    pub attribution: Remote<AttributionKey, Rc<Attribution>>,
    /// What the latent view's boxes say.
    pub neighborhood: Rc<NeighborhoodSpec>,
    /// What the student view's boxes say.
    pub student_spec: Rc<StudentSpec>,
    /// The explanation.
    pub story: story::Story,
    /// Whether an explanation starts by itself as soon as the models are there: a new image was chosen.
    pub starts_by_itself: bool,
    /// The image under a dragged handle.
    pub live: live::Live,
    /// Why something that was asked for once did not happen.
    pub command_problem: Option<Rc<Problem>>,
}

impl AppState {
    /// The state an address asks for, before the server has said anything.
    pub fn at(route: &Route) -> Self {
        let mut state = Self {
            connection: Connection::default(),
            catalog: Catalog::default(),
            teacher_choice: None,
            autoencoder_choice: None,
            measure: Measure::default(),
            selection: MatrixSelection::default(),
            order: ExampleOrder::default(),
            matrix: Remote::default(),
            gallery: gallery::Gallery::default(),
            subject: None,
            example: Remote::default(),
            encoding: Remote::default(),
            attribution_choice: AttributionChoice::default(),
            attribution: Remote::default(),
            neighborhood: Rc::default(),
            student_spec: Rc::default(),
            story: story::Story::default(),
            starts_by_itself: false,
            live: live::Live::default(),
            command_problem: None,
        };
        state.go_to(route);
        state
    }

    /// The address of what is shown.
    pub fn route(&self) -> Route {
        Route {
            teacher: self.teacher_choice.clone(),
            autoencoder: self.autoencoder_choice.clone(),
            selection: self.selection,
            image: match &self.subject {
                Some(Subject::Example(id)) => Some(id.clone()),
                _ => None,
            },
            order: self.order,
            measure: self.measure,
            attribution: self.attribution_choice,
            neighborhood: (*self.neighborhood).clone(),
            student: (*self.student_spec).clone(),
        }
    }

    fn go_to(&mut self, route: &Route) {
        let models_change = (&self.teacher_choice, &self.autoencoder_choice) != (&route.teacher, &route.autoencoder);
        self.teacher_choice.clone_from(&route.teacher);
        self.autoencoder_choice.clone_from(&route.autoencoder);
        self.selection = route.selection;
        self.order = route.order;
        self.measure = route.measure;
        self.attribution_choice = route.attribution;
        self.neighborhood = Rc::new(route.neighborhood.clone());
        self.student_spec = Rc::new(route.student.clone());
        let subject = route.image.clone().map(Subject::Example);
        if self.subject != subject || models_change {
            self.starts_by_itself = subject.is_some();
            self.subject = subject;
            self.live.clear();
        }
    }
}

impl Reducible for AppState {
    type Action = Action;

    fn reduce(self: Rc<Self>, action: Action) -> Rc<Self> {
        Rc::new(reduce((*self).clone(), action))
    }
}
