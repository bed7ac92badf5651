//! All that the page knows, and nothing that it draws. Changed only by [`reduce`]; what follows from it
//! is asked through the selectors here.

pub mod action;
pub mod catalog;
pub mod gallery;
pub mod keys;
pub mod live;
pub mod neighbors;
pub mod reduce;
pub mod remote;
pub mod story;
#[cfg(test)]
pub(crate) mod testing;

use std::rc::Rc;

use domain::{
    Attribution, Autoencoder, ConfusionMatrix, Dataset, Example, Image, Instance, Label, Latent, ModelState,
    NeighborhoodSpec, Reconstruction, ResourceName, StudentSpec, Teacher,
};
use yew::{AttrValue, Reducible};

pub use action::{Action, Part};
pub use catalog::{Activity, Catalog, CatalogUpdate};
pub use keys::{AttributionKey, Encoding, EncodingKey, ExampleKey, ExplanationRequest, MatrixKey, StudentRequest};
pub use reduce::reduce;
pub use remote::Remote;

use crate::{
    components::{chosen::ChosenImage, format, problem::Problem},
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

    /// The teacher in use, ready or not.
    pub fn teacher(&self) -> Option<&Rc<Teacher>> {
        self.catalog.teacher(self.teacher_choice.as_deref())
    }

    /// The teacher in use, if it can answer and has been evaluated.
    pub fn ready_teacher(&self) -> Option<&Rc<Teacher>> {
        self.teacher().filter(|teacher| teacher.state == ModelState::Ready && teacher.accuracy.is_some())
    }

    /// The autoencoder in use, ready or not.
    pub fn autoencoder(&self) -> Option<&Rc<Autoencoder>> {
        self.catalog.autoencoder(self.autoencoder_choice.as_deref())
    }

    /// The autoencoder in use, if it can answer.
    pub fn ready_autoencoder(&self) -> Option<&Rc<Autoencoder>> {
        self.autoencoder().filter(|autoencoder| autoencoder.state == ModelState::Ready)
    }

    /// The data set the teacher is judged on.
    pub fn dataset(&self) -> Option<&Rc<Dataset>> {
        self.catalog.dataset(&self.teacher()?.recipe.dataset)
    }

    /// Names of the labels; empty before the data set is known.
    pub fn label_names(&self) -> Vec<String> {
        self.dataset().map(|dataset| dataset.label_names.clone()).unwrap_or_default()
    }

    /// The full name of the chosen example.
    pub fn example_name(&self) -> Option<ResourceName> {
        match &self.subject {
            Some(Subject::Example(id)) => self.teacher()?.recipe.dataset.child("examples", id).ok(),
            _ => None,
        }
    }

    /// What is explained, as the server is asked.
    pub fn instance(&self) -> Option<Instance> {
        match self.subject.as_ref()? {
            Subject::Example(_) => self.example_name().map(Instance::Example),
            Subject::Own(image, gold_label) => Some(Instance::Image { image: image.clone(), gold_label: *gold_label }),
        }
    }

    /// The image all views speak about, as soon as its pixels are known.
    pub fn chosen(&self) -> Option<ChosenImage> {
        let encoding = self.encoding.current();
        match self.subject.as_ref()? {
            Subject::Example(_) => {
                let example = self.example.current()?;
                Some(ChosenImage {
                    title: AttrValue::from(format!("Image {}", format::count(example.index))),
                    image: example.image.clone(),
                    gold_label: Some(example.gold_label),
                    soft_labels: example.soft_labels.clone().or_else(|| encoding.map(|it| it.soft_labels.clone())),
                })
            }
            Subject::Own(image, gold_label) => Some(ChosenImage {
                title: AttrValue::from("Your digit"),
                image: encoding.map_or_else(|| image.clone(), |it| it.image.clone()),
                gold_label: *gold_label,
                soft_labels: encoding.map(|it| it.soft_labels.clone()),
            }),
        }
    }

    /// Where the chosen image lies, once known.
    pub fn latent(&self) -> Option<Latent> {
        let encoded = self.encoding.current().map(|encoding| encoding.latent.clone());
        encoded.or_else(|| self.own_explanation().and_then(|explanation| explanation.latent.clone()))
    }

    /// What the autoencoder makes of the chosen image, once known.
    pub fn reconstruction(&self) -> Option<Rc<Reconstruction>> {
        let encoded = self.encoding.current().map(|encoding| encoding.reconstruction.clone());
        encoded.or_else(|| self.own_explanation().and_then(|it| it.reconstruction.clone()).map(Rc::new))
    }

    /// Why the chosen image cannot be explained yet; `None` when nothing stands in the way.
    pub fn blocked(&self) -> Option<AttrValue> {
        let waits = |what: &str, state: Option<&ModelState>, left: Option<f64>| match (state, left) {
            (Some(ModelState::Failed(_)), _) => format!("The {what} has no weights: start its training again."),
            (Some(_), Some(left)) if left > 0.0 => {
                format!("The {what} is still training: {} left.", format::duration(left))
            }
            (Some(_), _) => format!("The {what} is still training."),
            (None, _) => format!("There is no {what} yet."),
        };
        let left = |target: &ResourceName, operation: &str| {
            self.catalog.activity(target, operation).and_then(|a| a.progress.as_ref()).map(|p| p.remaining_seconds)
        };
        if self.ready_teacher().is_none() {
            let teacher = self.teacher();
            let left = teacher.and_then(|teacher| left(&teacher.name, &teacher.operation));
            return Some(waits("teacher", teacher.map(|teacher| &teacher.state), left).into());
        }
        if self.ready_autoencoder().is_none() {
            let autoencoder = self.autoencoder();
            let left = autoencoder.and_then(|autoencoder| left(&autoencoder.name, &autoencoder.operation));
            return Some(waits("autoencoder", autoencoder.map(|it| &it.state), left).into());
        }
        None
    }

    /// Why the chosen image or its explanation is not there.
    pub fn instance_problem(&self) -> Option<Rc<Problem>> {
        self.example
            .problem()
            .or_else(|| self.encoding.problem())
            .or_else(|| self.story.problem())
            .or_else(|| self.live.problem())
    }

    fn own_explanation(&self) -> Option<&domain::Explanation> {
        let instance = self.instance();
        self.story.current().map(|shared| &**shared).filter(|it| Some(&it.instance) == instance.as_ref())
    }
}

impl Reducible for AppState {
    type Action = Action;

    fn reduce(self: Rc<Self>, action: Action) -> Rc<Self> {
        Rc::new(reduce((*self).clone(), action))
    }
}
