//! The story of one instance: its answer, its neighborhood, its student, and how far that has come.

use crate::{
    image::Image,
    label::{Label, Logits, SoftLabels, Temperature},
    name::ResourceName,
    neighborhood::{Latent, NeighborhoodSpec},
    student::{Student, StudentSpec},
};

/// The image that is explained.
#[derive(Debug, Clone, PartialEq)]
pub enum Instance {
    /// `datasets/{d}/examples/{e}`.
    Example(ResourceName),
    /// An image of one's own, with its gold label where one is known.
    Image {
        /// Already in the data set's shape.
        image: Image,
        /// What it is, if the user says so.
        gold_label: Option<Label>,
    },
}

/// Whether it can still change.
#[derive(Debug, Clone, PartialEq)]
pub enum ExplanationState {
    /// Accepted, not begun.
    Queued,
    /// Being computed.
    Running,
    /// Complete.
    Succeeded,
    /// Ended with an error.
    Failed(crate::Error),
    /// Ended by its user.
    Cancelled,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Finding the instance in the latent space.
    Encoding,
    /// Decoding and labelling neighbors, fitting ever better students meanwhile.
    Labeling,
    /// Fitting the last student.
    Distilling,
    /// Nothing is left to do.
    Complete,
}

/// What the autoencoder makes of the instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// dec(z0).
    pub image: Image,
    /// The teacher's answer to it, at temperature 1.
    pub soft_labels: SoftLabels,
    /// Whether the teacher gives it the same class as the instance.
    pub keeps_label: bool,
}

/// One explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// `explanations/{x}`.
    pub name: ResourceName,
    /// For people; may be empty.
    pub display_name: String,
    /// `teachers/{t}`.
    pub teacher: ResourceName,
    /// `autoencoders/{a}`.
    pub autoencoder: ResourceName,
    /// What is explained.
    pub instance: Instance,
    /// Where neighbors are drawn.
    pub neighborhood: NeighborhoodSpec,
    /// What the first student is asked to be.
    pub student_spec: StudentSpec,
    /// Whether it can still change.
    pub state: ExplanationState,
    /// What is being done.
    pub stage: Stage,
    /// The operation that computes it, `operations/{o}`.
    pub operation: String,
    /// Who asked for it; `anonymous` for those who have not said.
    pub creator: String,
    /// Seconds since the Unix epoch.
    pub create_time: i64,
    /// The instance's pixels, once resolved.
    pub image: Option<Image>,
    /// The instance's gold label, where there is one.
    pub gold_label: Option<Label>,
    /// The teacher's answer to the instance at temperature 1, once known.
    pub soft_labels: Option<SoftLabels>,
    /// Where the instance lies, once encoded.
    pub latent: Option<Latent>,
    /// What the autoencoder makes of it, once decoded and labelled.
    pub reconstruction: Option<Reconstruction>,
    /// Neighbors that the teacher has labelled so far.
    pub labeled_neighbor_count: usize,
    /// The best student so far; its `neighbor_count` says from how many.
    pub student: Option<Student>,
}

impl Explanation {
    /// The teacher's answer at the instance, once known.
    pub fn predicted_label(&self) -> Option<Label> {
        self.soft_labels.as_ref().map(SoftLabels::predicted_label)
    }

    /// Whether it will not change any more.
    pub fn is_done(&self) -> bool {
        !matches!(self.state, ExplanationState::Queued | ExplanationState::Running)
    }
}

/// The label a contrast map is taken against: gold where it is known and was missed, else the
/// teacher's second choice.
pub fn contrast_label(logits: &Logits, gold: Option<Label>) -> Label {
    let predicted = logits.predicted_label();
    if let Some(gold) = gold.filter(|gold| *gold != predicted && gold.index() < logits.label_count()) {
        return gold;
    }
    let mut probabilities = logits.soft_labels(Temperature::ONE).probabilities;
    probabilities[predicted.index()] = -1.0;
    Label(crate::label::argmax(probabilities.into_iter()) as u32)
}

/// A generated image around the instance, with the teacher's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbor {
    /// Position in the neighborhood, from 0: the `{n}` of its name.
    pub index: u64,
    /// Its latent coordinates.
    pub latent: Vec<f32>,
    /// The teacher's answer at temperature 1.
    pub soft_labels: SoftLabels,
    /// Its pixels, where they were asked for.
    pub image: Option<Image>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contrast_is_against_gold_or_else_the_second_choice() {
        let logits = Logits::new(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!(contrast_label(&logits, Some(Label(1))), Label(1));
        assert_eq!(contrast_label(&logits, Some(Label(0))), Label(2));
        assert_eq!(contrast_label(&logits, None), Label(2));
    }
}
