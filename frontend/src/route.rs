//! The selection as an address, so that reload, back, forward and a copied link find it again. Only what
//! differs from the defaults is written; what cannot be read is left at its default.

mod specs;

use domain::{Label, NeighborhoodSpec, ResourceName, StudentSpec};

use crate::plots::confusion_matrix::{MatrixSelection, Measure};

/// Longest query that is read; far above what [`Route::to_query`] writes for 64 latent dimensions.
const MAX_QUERY_LENGTH: usize = 8_192;

/// In which order the gallery shows its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExampleOrder {
    /// The teacher's largest probability first.
    #[default]
    Confidence,
    /// The closest calls first.
    Margin,
    /// As in the file.
    Index,
}

impl ExampleOrder {
    /// As the toggle shows them.
    pub const ALL: [Self; 3] = [Self::Confidence, Self::Margin, Self::Index];

    /// One word for the toggle.
    pub fn title(self) -> &'static str {
        match self {
            Self::Confidence => "Confidence",
            Self::Margin => "Margin",
            Self::Index => "Index",
        }
    }

    /// What comes first, for the line beside the count.
    pub fn words(self) -> &'static str {
        match self {
            Self::Confidence => "most confident first",
            Self::Margin => "closest calls first",
            Self::Index => "as in the file",
        }
    }
}

/// The teacher's own account of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttributionChoice {
    /// Hide patches, watch the answer.
    #[default]
    Occlusion,
    /// Gradient of the answer by the input, times the input.
    Gradient,
}

/// All that an address holds. An image of one's own is not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The `{t}` of the teacher; `None`: the page chooses.
    pub teacher: Option<String>,
    /// The `{a}` of the autoencoder; `None`: the page chooses.
    pub autoencoder: Option<String>,
    /// Cell, row or column of the matrix.
    pub selection: MatrixSelection,
    /// The `{e}` of the example that is explained: `train-4213`.
    pub image: Option<String>,
    /// Of the gallery.
    pub order: ExampleOrder,
    /// What the matrix's cells say.
    pub measure: Measure,
    /// Which attribution stands beside the image.
    pub attribution: AttributionChoice,
    /// What the latent view's boxes say.
    pub neighborhood: NeighborhoodSpec,
    /// What the student view's boxes say.
    pub student: StudentSpec,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            teacher: None,
            autoencoder: None,
            selection: MatrixSelection::None,
            image: None,
            order: ExampleOrder::default(),
            measure: Measure::Counts,
            attribution: AttributionChoice::default(),
            neighborhood: NeighborhoodSpec::default(),
            student: StudentSpec::default(),
        }
    }
}

impl Route {
    /// Reads a query, with or without its `?`. Total: what is unknown or out of range is ignored.
    pub fn parse(query: &str) -> Self {
        let query = query.strip_prefix('?').unwrap_or(query);
        let mut route = Self::default();
        if query.len() > MAX_QUERY_LENGTH {
            return route;
        }
        let pairs: Vec<(String, String)> = query.split('&').filter_map(pair).collect();
        for (key, value) in &pairs {
            route.read(key, value);
        }
        route.neighborhood = specs::neighborhood(&pairs);
        route.student = specs::student(&pairs);
        route
    }

    /// The query with its `?`; empty where everything is as a newcomer finds it.
    pub fn to_query(&self) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        let names = [("teacher", &self.teacher), ("autoencoder", &self.autoencoder), ("image", &self.image)];
        for (key, value) in names {
            pairs.extend(value.clone().map(|value| (key, value)));
        }
        match self.selection {
            MatrixSelection::None => {}
            MatrixSelection::Cell { gold, predicted } => pairs.push(("cell", format!("{gold}:{predicted}"))),
            MatrixSelection::Row(gold) => pairs.push(("row", gold.to_string())),
            MatrixSelection::Column(predicted) => pairs.push(("column", predicted.to_string())),
        }
        match self.order {
            ExampleOrder::Confidence => {}
            ExampleOrder::Margin => pairs.push(("order", "margin".to_owned())),
            ExampleOrder::Index => pairs.push(("order", "index".to_owned())),
        }
        match self.measure {
            Measure::Counts => {}
            Measure::RowShare => pairs.push(("cells", "rows".to_owned())),
            Measure::ColumnShare => pairs.push(("cells", "columns".to_owned())),
        }
        if self.attribution == AttributionChoice::Gradient {
            pairs.push(("attribution", "gradient".to_owned()));
        }
        specs::write_neighborhood(&self.neighborhood, &mut pairs);
        specs::write_student(&self.student, &mut pairs);
        let text: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if text.is_empty() { String::new() } else { format!("?{}", text.join("&")) }
    }

    /// Whether going from `before` to here is a step that the back button should undo. Boxes and toggles
    /// are not: they replace the address.
    pub fn is_step_from(&self, before: &Self) -> bool {
        let step =
            |route: &Self| (route.teacher.clone(), route.autoencoder.clone(), route.selection, route.image.clone());
        step(self) != step(before)
    }

    fn read(&mut self, key: &str, value: &str) {
        match (key, value) {
            ("teacher", id) => self.teacher = id_of(ResourceName::TEACHER, id),
            ("autoencoder", id) => self.autoencoder = id_of(ResourceName::AUTOENCODER, id),
            ("image", id) => self.image = id_of(ResourceName::TEACHER, id),
            ("cell", cell) => {
                if let Some((gold, predicted)) = cell.split_once(':').and_then(|(g, p)| Some((label(g)?, label(p)?))) {
                    self.selection = MatrixSelection::Cell { gold, predicted };
                }
            }
            ("row", gold) => self.selection = label(gold).map_or(self.selection, MatrixSelection::Row),
            ("column", predicted) => self.selection = label(predicted).map_or(self.selection, MatrixSelection::Column),
            ("order", "margin") => self.order = ExampleOrder::Margin,
            ("order", "index") => self.order = ExampleOrder::Index,
            ("cells", "rows") => self.measure = Measure::RowShare,
            ("cells", "columns") => self.measure = Measure::ColumnShare,
            ("attribution", "gradient") => self.attribution = AttributionChoice::Gradient,
            _ => {}
        }
    }
}

fn label(text: &str) -> Option<Label> {
    text.parse().ok().filter(|&label| label < 10_000).map(Label)
}

fn id_of(collections: &[&str], id: &str) -> Option<String> {
    ResourceName::new(collections, &[id]).ok().map(|name| name.id().to_owned())
}

fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    Some((decode(key)?, decode(value)?))
}

/// Undoes `%2C` and the like: some programs encode what the page does not. `None` where it is broken.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
