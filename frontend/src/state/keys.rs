//! The questions the page asks: all that determines an answer, so that equal keys have equal answers.

use std::{fmt::Write, rc::Rc};

use domain::{Image, Instance, Label, Latent, NeighborhoodSpec, Reconstruction, ResourceName, SoftLabels, StudentSpec};

use crate::route::AttributionChoice;

/// Where is the teacher wrong?
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixKey {
    /// `teachers/{t}`.
    pub teacher: ResourceName,
    /// Of its weights: another training is another question.
    pub digest: String,
    /// `datasets/{d}`.
    pub dataset: ResourceName,
    /// The split it was evaluated on.
    pub split: String,
}

/// What is this example, and what does the teacher say?
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleKey {
    /// `datasets/{d}/examples/{e}`.
    pub name: ResourceName,
    /// `teachers/{t}`.
    pub teacher: ResourceName,
}

/// Where does the instance lie, and what comes back?
#[derive(Debug, Clone, PartialEq)]
pub struct EncodingKey {
    /// `teachers/{t}`.
    pub teacher: ResourceName,
    /// `autoencoders/{a}`.
    pub autoencoder: ResourceName,
    /// What is encoded.
    pub instance: Instance,
}

/// An instance in the latent space.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// The instance as the models see it.
    pub image: Image,
    /// What it is, where that is known.
    pub gold_label: Option<Label>,
    /// The teacher's answer at temperature 1.
    pub soft_labels: SoftLabels,
    /// Where it lies.
    pub latent: Latent,
    /// What the autoencoder makes of it.
    pub reconstruction: Rc<Reconstruction>,
}

/// Which pixels move the teacher's answer?
#[derive(Debug, Clone, PartialEq)]
pub struct AttributionKey {
    /// `teachers/{t}`.
    pub teacher: ResourceName,
    /// What is attributed.
    pub instance: Instance,
    /// How.
    pub choice: AttributionChoice,
}

/// Why, and may one believe it?
#[derive(Debug, Clone, PartialEq)]
pub struct ExplanationRequest {
    /// `teachers/{t}`.
    pub teacher: ResourceName,
    /// `autoencoders/{a}`.
    pub autoencoder: ResourceName,
    /// Digests of both: after another training the same names are another question.
    pub digests: [String; 2],
    /// What is explained.
    pub instance: Instance,
    /// Where neighbors are drawn.
    pub neighborhood: NeighborhoodSpec,
    /// What the student is asked to be.
    pub student: StudentSpec,
    /// Whose it is, where people are told apart: nobody ends another one's.
    pub mark: Option<String>,
}

impl ExplanationRequest {
    /// The `{x}` of its explanation: the same for the same request of the same person, so that clicking back finds what is
    /// there already.
    pub fn id(&self) -> String {
        let text = format!("{self:?}");
        let mut id = String::from("x-");
        for basis in [0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142] {
            // Writing into a string cannot fail.
            let _ = write!(id, "{:016x}", fnv1a(basis, text.as_bytes()));
        }
        id
    }
}

/// Another student for the same neighbors.
#[derive(Debug, Clone, PartialEq)]
pub struct StudentRequest {
    /// `explanations/{x}`.
    pub explanation: ResourceName,
    /// What it is asked to be.
    pub spec: StudentSpec,
}

/// The 64-bit hash of Fowler, Noll and Vo: enough to tell requests of one person apart.
fn fnv1a(basis: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(basis, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing;

    #[test]
    fn equal_requests_have_equal_ids_and_a_changed_one_another() {
        let request = testing::explanation_request();
        assert_eq!(request.id(), request.clone().id());
        let mut wider = request.clone();
        wider.neighborhood.radius = 0.6;
        assert_ne!(request.id(), wider.id());
        assert!(request.id().len() <= domain::name::MAX_ID_LENGTH);
    }

    #[test]
    fn fnv1a_is_the_published_one() {
        // Test vector of the authors' reference code: fnv1a_64("foobar").
        assert_eq!(fnv1a(0xcbf2_9ce4_8422_2325, b"foobar"), 0x8594_4171_f739_67e8);
    }
}
