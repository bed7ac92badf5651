//! The image all views speak about.

use domain::{Image, Label, SoftLabels};
use yew::AttrValue;

/// An example of a data set, or an image of one's own.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenImage {
    /// `Image 4,213` or `Your digit`.
    pub title: AttrValue,
    /// Its pixels.
    pub image: Image,
    /// What it is, where that is known.
    pub gold_label: Option<Label>,
    /// The teacher's answer at temperature 1, once known.
    pub soft_labels: Option<SoftLabels>,
}

impl ChosenImage {
    /// The teacher's answer, once known.
    pub fn predicted_label(&self) -> Option<Label> {
        self.soft_labels.as_ref().map(SoftLabels::predicted_label)
    }
}

/// Room for the longest name in a table, as a style: at most ten letters, then names are cut.
pub fn name_room(names: &[String]) -> String {
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(1);
    format!("--name:{}ch", longest.clamp(1, 10))
}

/// A label's name, or its number where the data set has no name for it.
pub fn label_name(names: &[String], label: Label) -> String {
    names.get(label.index()).cloned().unwrap_or_else(|| label.to_string())
}
