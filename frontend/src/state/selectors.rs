//! What follows from the state: the models in use, the chosen image, why something cannot be done yet.

use std::rc::Rc;

use domain::{Autoencoder, Dataset, Instance, Latent, ModelState, Reconstruction, ResourceName, Teacher};
use yew::AttrValue;

use super::{AppState, Subject};
use crate::components::{chosen::ChosenImage, format, problem::Problem};

impl AppState {
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
