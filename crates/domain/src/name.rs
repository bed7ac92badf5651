//! Resource names: `teachers/resnet50-mnist`, `explanations/{x}/students/{s}`.

use std::{fmt, sync::Arc};

use crate::error::{Error, Result};

/// Longest id within a name.
pub const MAX_ID_LENGTH: usize = 63;

/// A name of alternating collections and ids. Ids are lower-case letters, digits, `-` and `_`,
/// starting with a letter or digit, at most [`MAX_ID_LENGTH`] long, so they are safe in paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceName(Arc<str>);

impl ResourceName {
    /// `datasets/{d}`.
    pub const DATASET: &[&str] = &["datasets"];
    /// `datasets/{d}/examples/{e}`.
    pub const EXAMPLE: &[&str] = &["datasets", "examples"];
    /// `teachers/{t}`.
    pub const TEACHER: &[&str] = &["teachers"];
    /// `autoencoders/{a}`.
    pub const AUTOENCODER: &[&str] = &["autoencoders"];
    /// `explanations/{x}`.
    pub const EXPLANATION: &[&str] = &["explanations"];
    /// `explanations/{x}/students/{s}`.
    pub const STUDENT: &[&str] = &["explanations", "students"];
    /// `explanations/{x}/neighbors/{n}`.
    pub const NEIGHBOR: &[&str] = &["explanations", "neighbors"];
    /// `operations/{o}`.
    pub const OPERATION: &[&str] = &["operations"];

    /// Parses a name of the given collections; the error says what it should look like.
    pub fn parse(text: &str, collections: &[&str]) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let shape_fits = parts.len() == collections.len() * 2
            && collections.iter().zip(parts.iter().step_by(2)).all(|(want, got)| want == got);
        if shape_fits && parts.iter().skip(1).step_by(2).all(|id| is_id(id)) {
            return Ok(Self(text.into()));
        }
        let pattern: Vec<String> = collections.iter().map(|collection| format!("{collection}/{{id}}")).collect();
        let shown: String = text.chars().take(80).collect();
        Err(Error::invalid(
            "",
            format!(
                "{shown:?} is not of the form {} (ids: a-z, 0-9, - and _, at most {MAX_ID_LENGTH})",
                pattern.join("/")
            ),
        ))
    }

    /// Joins collections and ids that the caller made. `ids` are checked.
    pub fn new(collections: &[&str], ids: &[&str]) -> Result<Self> {
        let parts: Vec<String> =
            collections.iter().zip(ids).map(|(collection, id)| format!("{collection}/{id}")).collect();
        Self::parse(&parts.join("/"), collections)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last id.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The first id: `mnist` of `datasets/mnist/examples/train-1`.
    pub fn first_id(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }

    /// The name of the resource this one belongs to.
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.rmatch_indices('/').nth(1)?.0;
        Some(Self(self.0[..cut].into()))
    }

    /// A resource below this one.
    pub fn child(&self, collection: &str, id: &str) -> Result<Self> {
        if !is_id(id) {
            return Err(Error::invalid(
                "",
                format!(
                    "{:?} is not an id (a-z, 0-9, - and _, at most {MAX_ID_LENGTH})",
                    id.chars().take(80).collect::<String>()
                ),
            ));
        }
        Ok(Self(format!("{}/{collection}/{id}", self.0).into()))
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let starts_well = id.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    starts_well && id.len() <= MAX_ID_LENGTH && id.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_parsed_by_its_collections() {
        let name = ResourceName::parse("datasets/mnist/examples/train-4213", ResourceName::EXAMPLE).unwrap();
        assert_eq!((name.id(), name.first_id()), ("train-4213", "mnist"));
        assert_eq!(name.parent().unwrap().as_str(), "datasets/mnist");
    }

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for text in
            ["teachers/..", "teachers/a/b", "teachers/", "teachers/A", "teachers/a b", "students/a", "teachers/é", ""]
        {
            assert!(ResourceName::parse(text, ResourceName::TEACHER).is_err(), "{text}");
        }
    }
}
