//! docs/TELEMETRY.md as data: what the code may emit, as people read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Metrics, spans and log fields of the list.
#[derive(Debug, Default)]
pub struct Listed {
    /// By name.
    pub metrics: BTreeMap<String, Metric>,
    /// Fields by the span's name.
    pub spans: BTreeMap<String, BTreeSet<String>>,
    /// What the exporter adds to every span.
    pub every_span: BTreeSet<String>,
    /// Fields of log records.
    pub log_fields: BTreeSet<String>,
}

/// A metric of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// `counter`, `up-down counter`, `gauge` or `histogram`.
    pub kind: String,
    /// In UCUM.
    pub unit: String,
    /// Keys of its points.
    pub attributes: BTreeSet<String>,
}

impl Listed {
    /// Reads the list.
    ///
    /// # Panics
    /// When it is not there, or a line of it is not understood.
    pub fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/TELEMETRY.md");
        let text = fs::read_to_string(file).expect("docs/TELEMETRY.md is there");
        let mut listed = Self::default();
        let mut heading = String::new();
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("## ") {
                heading = words.to_owned();
            } else if line.starts_with('|') {
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                listed.row(&heading, &cells);
            }
        }
        listed
    }

    fn row(&mut self, heading: &str, cells: &[&str]) {
        // The head of a table and the line below it name nothing.
        let Some(name) = quoted(cells[0]).into_iter().next() else { return };
        let is_new = match (heading, cells) {
            ("Metrics", [_, kind, unit, attributes, _]) => {
                let unit = quoted(unit).into_iter().next().unwrap_or_else(|| panic!("{name} has no unit"));
                let metric = Metric { kind: (*kind).to_owned(), unit, attributes: quoted(attributes) };
                self.metrics.insert(name.clone(), metric).is_none()
            }
            ("Spans", [_, fields, _]) => self.spans.insert(name.clone(), quoted(fields)).is_none(),
            ("On every span", [_, _]) => self.every_span.insert(name.clone()),
            ("Log fields", [_, _]) => self.log_fields.insert(name.clone()),
            _ => panic!("under {heading:?}: {cells:?}"),
        };
        assert!(is_new, "{name} is listed twice");
    }

    /// What Prometheus calls the metrics behind our collectors.
    pub fn in_prometheus(&self) -> BTreeSet<String> {
        self.metrics.iter().flat_map(|(name, metric)| metric.in_prometheus(name)).collect()
    }

    /// The attributes of all metrics as Prometheus' labels.
    pub fn labels(&self) -> BTreeSet<String> {
        self.metrics.values().flat_map(|metric| &metric.attributes).map(|key| key.replace('.', "_")).collect()
    }
}

impl Metric {
    /// As the collector's `prometheus` exporter makes names of name, unit and kind.
    fn in_prometheus(&self, name: &str) -> Vec<String> {
        let base = name.replace('.', "_");
        let base = match (self.unit.as_str(), self.kind.as_str()) {
            ("s", _) => format!("{base}_seconds"),
            ("1", "gauge") => format!("{base}_ratio"),
            (unit, _) if unit.starts_with('{') && unit.ends_with("}/s") => format!("{base}_per_second"),
            (unit, _) if unit.starts_with('{') && unit.ends_with('}') => base,
            (unit, kind) => panic!("what does Prometheus make of a {kind} in {unit}?"),
        };
        match self.kind.as_str() {
            "counter" => vec![format!("{base}_total")],
            "gauge" | "up-down counter" => vec![base],
            "histogram" => ["bucket", "count", "sum"].map(|part| format!("{base}_{part}")).to_vec(),
            kind => panic!("{name} is a {kind}"),
        }
    }
}

/// The words between backticks.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
