//! Everything that can happen to the page: what the server says, and what the person does.

use std::rc::Rc;

use domain::{
    Attribution, ConfusionMatrix, Error, Example, Explanation, Image, Label, Neighbor, NeighborhoodSpec, SoftLabels,
    Student, StudentSpec,
};

use super::{
    catalog::CatalogUpdate,
    gallery::{ExamplePage, PageRequest},
    keys::{AttributionKey, Encoding, EncodingKey, ExampleKey, ExplanationRequest, MatrixKey, StudentRequest},
    neighbors::NeighborPage,
    story::Fit,
};
use crate::{
    components::problem::Problem,
    plots::confusion_matrix::{MatrixSelection, Measure},
    route::{AttributionChoice, ExampleOrder, Route},
};

/// A part of the page that can fail and be asked for again on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The confusion matrix.
    Matrix,
    /// The selected cell's images.
    Gallery,
    /// The chosen image, its place in the latent space, its explanation.
    Instance,
    /// The teacher's own account.
    Attribution,
    /// The student that was to be distilled again.
    Student,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The activity stream broke or has not begun.
    Disconnected,
    /// The activity stream said something.
    CatalogChanged(CatalogUpdate),
    /// Where the teacher is wrong.
    MatrixReceived(MatrixKey, Result<Rc<ConfusionMatrix>, Error>),
    /// A page of the gallery.
    PageReceived(PageRequest, Result<ExamplePage, Error>),
    /// The image an address asked for.
    ExampleReceived(ExampleKey, Result<Rc<Example>, Error>),
    /// Where the instance lies.
    EncodingReceived(EncodingKey, Result<Rc<Encoding>, Error>),
    /// Which pixels move the teacher.
    AttributionReceived(AttributionKey, Result<Rc<Attribution>, Error>),
    /// A snapshot of an explanation.
    ExplanationReceived(Rc<ExplanationRequest>, Box<Explanation>),
    /// An explanation could not be made or watched.
    ExplanationFailed(Rc<ExplanationRequest>, Error),
    /// A page of neighbors with the token of the next.
    NeighborsReceived(NeighborPage, Result<(Vec<Neighbor>, String), Error>),
    /// How far another student is.
    StudentProgressed(StudentRequest, Fit),
    /// Another student.
    StudentReceived(StudentRequest, Result<Box<Student>, Error>),
    /// The image of a dragged-to point.
    Decoded(Vec<f32>, Result<(Image, SoftLabels), Error>),
    /// Something the person asked for once, such as cancelling a training, failed.
    CommandFailed(Rc<Problem>),

    /// The address changed under the page: back, forward.
    Navigated(Box<Route>),
    /// Another teacher, by id.
    TeacherChosen(String),
    /// Another autoencoder, by id.
    AutoencoderChosen(String),
    /// A cell, a row, a column.
    Selected(MatrixSelection),
    /// What the matrix's cells say.
    MeasureChosen(Measure),
    /// Order of the gallery.
    OrderChosen(ExampleOrder),
    /// The end of the gallery was scrolled to.
    MoreWanted,
    /// An image of the gallery, by the `{e}` of its name.
    ExampleChosen(String),
    /// An image of one's own.
    OwnImageChosen(Image, Option<Label>),
    /// Which attribution stands beside the image.
    AttributionChosen(AttributionChoice),
    /// A box or a band of the latent view changed.
    NeighborhoodDrafted(NeighborhoodSpec),
    /// A box of the student view changed.
    StudentDrafted(StudentSpec),
    /// The button that generates and distills.
    GenerateWanted,
    /// The button that distills again from the same neighbors.
    DistillWanted,
    /// A handle moved.
    LatentDragged(Vec<f32>),
    /// The handles go back to the image.
    LatentReset,
    /// Ask again for what failed.
    RetryWanted(Part),
    /// The message about a failed command was read.
    ProblemDismissed,
}
