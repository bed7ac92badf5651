//! What the server has and what it is doing, kept up to date by the activity stream.

use std::rc::Rc;

use domain::{Autoencoder, Dataset, Error, LossPoint, ModelState, Progress, ResourceName, Teacher, TrainingPhase};

use super::viewer::Viewer;
use crate::components::shared::Shared;

/// A training or an evaluation as the page shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// `operations/{o}`.
    pub name: String,
    /// The model that is made: `teachers/{t}` or `autoencoders/{a}`.
    pub target: String,
    /// Who asked for it.
    pub creator: String,
    /// Whether it has ended.
    pub done: bool,
    /// How it ended, unless well.
    pub error: Option<Error>,
    /// How far it is; its curve is in `curve`.
    pub progress: Option<Progress>,
    /// Oldest first, at most 500 points.
    pub curve: Shared<Vec<LossPoint>>,
}

/// One message of the activity stream.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogUpdate {
    /// All there is.
    Snapshot(Catalog),
    /// A new or changed data set.
    Dataset(Dataset),
    /// A new or changed teacher.
    Teacher(Teacher),
    /// A new or changed autoencoder.
    Autoencoder(Autoencoder),
    /// A new or changed operation.
    Operation(Activity),
    /// The name of a model that is gone.
    Deleted(String),
}

/// All there is. Lists are in the order of their names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    /// Labelled images.
    pub datasets: Vec<Rc<Dataset>>,
    /// Classifiers under study.
    pub teachers: Vec<Rc<Teacher>>,
    /// Makers of neighbors.
    pub autoencoders: Vec<Rc<Autoencoder>>,
    /// Operations that run or ended a short while ago.
    pub operations: Vec<Rc<Activity>>,
    /// Who looks at it.
    pub viewer: Viewer,
}

/// Most operations kept: the newest, those that still run first of all.
const MAX_OPERATION_COUNT: usize = 100;

impl Catalog {
    /// Takes one message in.
    pub fn apply(&mut self, update: CatalogUpdate) {
        match update {
            CatalogUpdate::Snapshot(catalog) => *self = catalog,
            CatalogUpdate::Dataset(dataset) => put(&mut self.datasets, dataset, |dataset| dataset.name.as_str()),
            CatalogUpdate::Teacher(teacher) => put(&mut self.teachers, teacher, |teacher| teacher.name.as_str()),
            CatalogUpdate::Autoencoder(autoencoder) => {
                put(&mut self.autoencoders, autoencoder, |autoencoder| autoencoder.name.as_str());
            }
            CatalogUpdate::Operation(operation) => {
                put(&mut self.operations, operation, |operation| &operation.name);
                if self.operations.len() > MAX_OPERATION_COUNT {
                    let oldest_done = self.operations.iter().position(|operation| operation.done).unwrap_or(0);
                    self.operations.remove(oldest_done);
                }
            }
            CatalogUpdate::Deleted(name) => {
                self.teachers.retain(|teacher| teacher.name.as_str() != name);
                self.autoencoders.retain(|autoencoder| autoencoder.name.as_str() != name);
            }
        }
    }

    /// A data set by name.
    pub fn dataset(&self, name: &ResourceName) -> Option<&Rc<Dataset>> {
        self.datasets.iter().find(|dataset| dataset.name == *name)
    }

    /// The teacher of that id; else the oldest that is ready; else the oldest.
    pub fn teacher(&self, id: Option<&str>) -> Option<&Rc<Teacher>> {
        choose(&self.teachers, id, |teacher| (&teacher.name, &teacher.state, teacher.create_time))
    }

    /// The autoencoder of that id; else the oldest that is ready; else the oldest.
    pub fn autoencoder(&self, id: Option<&str>) -> Option<&Rc<Autoencoder>> {
        choose(&self.autoencoders, id, |autoencoder| (&autoencoder.name, &autoencoder.state, autoencoder.create_time))
    }

    /// What is making a model: the operation that runs, else the one the model names, else the last for it.
    pub fn activity(&self, target: &ResourceName, operation: &str) -> Option<&Rc<Activity>> {
        let of_target = || self.operations.iter().filter(|activity| activity.target == target.as_str());
        of_target()
            .find(|activity| !activity.done)
            .or_else(|| self.operations.iter().find(|activity| activity.name == operation))
            .or_else(|| of_target().next_back())
    }

    /// Trainings that run or wait.
    pub fn running(&self) -> impl Iterator<Item = &Rc<Activity>> {
        self.operations.iter().filter(|activity| !activity.done)
    }
}

impl Activity {
    /// What it is doing.
    pub fn phase(&self) -> Option<TrainingPhase> {
        self.progress.as_ref().map(|progress| progress.phase)
    }

    /// How much of the phase is done, in `[0, 1]`; `None` before the first step.
    pub fn fraction(&self) -> Option<f64> {
        let progress = self.progress.as_ref()?;
        (progress.step_count > 0 && progress.step > 0)
            .then(|| (progress.step as f64 / progress.step_count as f64).clamp(0.0, 1.0))
    }
}

fn put<T>(list: &mut Vec<Rc<T>>, item: T, name: impl Fn(&T) -> &str) {
    match list.binary_search_by(|other| name(other).cmp(name(&item))) {
        Ok(position) => list[position] = Rc::new(item),
        Err(position) => list.insert(position, Rc::new(item)),
    }
}

fn choose<'a, T>(
    models: &'a [Rc<T>],
    id: Option<&str>,
    read: impl Fn(&T) -> (&ResourceName, &ModelState, i64),
) -> Option<&'a Rc<T>> {
    let named = id.and_then(|id| models.iter().find(|model| read(model).0.id() == id));
    let readiness = |model: &&'a Rc<T>| {
        let (_, state, create_time) = read(model);
        (*state != ModelState::Ready, matches!(state, ModelState::Failed(_)), create_time)
    };
    named.or_else(|| models.iter().min_by_key(readiness))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing;

    #[test]
    fn the_oldest_ready_model_is_used_unless_one_is_named() {
        let mut catalog = Catalog::default();
        let models = [("a", ModelState::Training, 1), ("b", ModelState::Ready, 3), ("c", ModelState::Ready, 2)];
        for (id, state, create_time) in models {
            catalog.apply(CatalogUpdate::Teacher(Teacher { create_time, ..testing::teacher(id, state) }));
        }
        assert_eq!(catalog.teacher(None).unwrap().name.id(), "c");
        assert_eq!(catalog.teacher(Some("a")).unwrap().name.id(), "a");
        assert_eq!(catalog.teacher(Some("gone")).unwrap().name.id(), "c");
    }

    #[test]
    fn a_change_replaces_and_a_deletion_removes() {
        let mut catalog = Catalog::default();
        catalog.apply(CatalogUpdate::Teacher(testing::teacher("a", ModelState::Training)));
        catalog.apply(CatalogUpdate::Teacher(testing::teacher("a", ModelState::Ready)));
        assert_eq!(catalog.teachers.len(), 1);
        assert_eq!(catalog.teachers[0].state, ModelState::Ready);
        catalog.apply(CatalogUpdate::Deleted("teachers/a".to_owned()));
        assert!(catalog.teachers.is_empty());
    }

    #[test]
    fn the_operation_that_runs_is_what_a_model_is_doing() {
        let mut catalog = Catalog::default();
        let name = testing::teacher("a", ModelState::Training).name;
        catalog.apply(CatalogUpdate::Operation(testing::activity("operations/1", "teachers/a", true)));
        catalog.apply(CatalogUpdate::Operation(testing::activity("operations/2", "teachers/a", false)));
        assert_eq!(catalog.activity(&name, "operations/1").unwrap().name, "operations/2");
    }

    #[test]
    fn a_flood_of_operations_is_bounded_and_running_ones_stay() {
        let mut catalog = Catalog::default();
        catalog.apply(CatalogUpdate::Operation(testing::activity("operations/0", "teachers/a", false)));
        for i in 1..300 {
            let name = format!("operations/{i:03}");
            catalog.apply(CatalogUpdate::Operation(testing::activity(&name, "teachers/b", true)));
        }
        assert_eq!(catalog.operations.len(), MAX_OPERATION_COUNT);
        assert!(catalog.operations.iter().any(|activity| !activity.done));
    }
}
