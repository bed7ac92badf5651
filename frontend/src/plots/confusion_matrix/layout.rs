//! Cells, shades and walking of a confusion matrix. Pure.

use domain::{ConfusionMatrix, Label};

/// What the numbers in the cells say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// Images.
    #[default]
    Counts,
    /// Share of the true label's images, in percent.
    RowShare,
    /// Share of the teacher's answers of that kind, in percent.
    ColumnShare,
}

impl Measure {
    /// In the order the page offers them.
    pub const ALL: [Self; 3] = [Self::Counts, Self::RowShare, Self::ColumnShare];

    /// `Counts`, `Row %`, `Column %`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counts => "Counts",
            Self::RowShare => "Row %",
            Self::ColumnShare => "Column %",
        }
    }
}

/// What is chosen in a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatrixSelection {
    /// Nothing.
    #[default]
    None,
    /// Images of `gold` that the teacher called `predicted`.
    Cell {
        /// The true label.
        gold: Label,
        /// The teacher's answer.
        predicted: Label,
    },
    /// All images of one class.
    Row(Label),
    /// All images with one answer.
    Column(Label),
}

/// One cell as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Empty for a cell without images.
    pub text: String,
    /// 0 (white) to 1 (as many errors as anywhere); 0 on the diagonal.
    pub shade: f64,
    /// Whether the answer was right.
    pub diagonal: bool,
}

impl Cell {
    /// CSS class of the cell.
    pub fn class(&self) -> &'static str {
        match (self.diagonal, self.text.is_empty(), self.shade > 0.5) {
            (true, ..) => "is-diagonal",
            (_, true, _) => "is-empty",
            (.., true) => "is-strong",
            _ => "is-weak",
        }
    }
}

/// Row-major cells. The shade is the square root of the share of the largest error, so that a
/// handful of images is still seen beside many.
pub fn cells(matrix: &ConfusionMatrix, measure: Measure) -> Vec<Cell> {
    let labels = || (0..matrix.label_count() as u32).map(Label);
    let value = |gold: Label, predicted: Label| {
        let count = matrix.count(gold, predicted) as f64;
        match measure {
            Measure::Counts => count,
            Measure::RowShare => count / matrix.row_total(gold).max(1) as f64,
            Measure::ColumnShare => count / matrix.column_total(predicted).max(1) as f64,
        }
    };
    let pairs: Vec<(Label, Label)> = labels().flat_map(|gold| labels().map(move |p| (gold, p))).collect();
    let errors = pairs.iter().filter(|(gold, predicted)| gold != predicted);
    let largest = errors.map(|&(gold, predicted)| value(gold, predicted)).fold(0.0, f64::max);
    let cell = |&(gold, predicted): &(Label, Label)| {
        let value = value(gold, predicted);
        let diagonal = gold == predicted;
        let shade = if diagonal || largest == 0.0 { 0.0 } else { (value / largest).sqrt() };
        let text = match measure {
            _ if matrix.count(gold, predicted) == 0 => String::new(),
            Measure::Counts => matrix.count(gold, predicted).to_string(),
            _ if value < 0.000_5 => "<0.1".to_owned(),
            _ => format!("{:.1}", value * 100.0),
        };
        Cell { text, shade, diagonal }
    };
    pairs.iter().map(cell).collect()
}

/// Where the keyboard stands: row and column, −1 for the headers.
pub type Position = (i32, i32);

/// What is chosen by pressing Enter at a position.
pub fn selection_at((row, column): Position) -> MatrixSelection {
    let label = |index: i32| u32::try_from(index).ok().map(Label);
    match (label(row), label(column)) {
        (Some(gold), Some(predicted)) => MatrixSelection::Cell { gold, predicted },
        (Some(gold), None) => MatrixSelection::Row(gold),
        (None, Some(predicted)) => MatrixSelection::Column(predicted),
        (None, None) => MatrixSelection::None,
    }
}

/// Where a selection stands; the first cell for none.
pub fn position_of(selection: MatrixSelection) -> Position {
    match selection {
        MatrixSelection::None => (0, 0),
        MatrixSelection::Cell { gold, predicted } => (gold.0 as i32, predicted.0 as i32),
        MatrixSelection::Row(gold) => (gold.0 as i32, -1),
        MatrixSelection::Column(predicted) => (-1, predicted.0 as i32),
    }
}

/// Where a key leads; `None` for a key that does not walk, or at the edge.
pub fn walk((row, column): Position, key: &str, label_count: usize) -> Option<Position> {
    let last = label_count as i32 - 1;
    let next = match key {
        "ArrowUp" => (row - 1, column),
        "ArrowDown" => (row + 1, column),
        "ArrowLeft" => (row, column - 1),
        "ArrowRight" => (row, column + 1),
        "Home" => (row, 0),
        "End" => (row, last),
        "PageUp" => (0, column),
        "PageDown" => (last, column),
        _ => return None,
    };
    let on_grid = (-1..=last).contains(&next.0) && (-1..=last).contains(&next.1) && next != (-1, -1);
    on_grid.then_some(next)
}

/// Whether a header or a cell belongs to what is hovered or chosen: a cell lights its two headers,
/// a header its whole row or column.
pub fn is_lit((row, column): Position, by: MatrixSelection) -> bool {
    match by {
        MatrixSelection::None => false,
        MatrixSelection::Cell { gold, predicted } => {
            (column == -1 && row == gold.0 as i32) || (row == -1 && column == predicted.0 as i32)
        }
        MatrixSelection::Row(gold) => row == gold.0 as i32,
        MatrixSelection::Column(predicted) => column == predicted.0 as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix::from_counts(3, vec![90, 4, 0, 1, 99, 0, 16, 0, 84]).unwrap()
    }

    #[test]
    fn the_diagonal_is_pale_and_zero_cells_are_empty() {
        let cells = cells(&matrix(), Measure::Counts);
        assert_eq!((cells[0].class(), cells[0].shade), ("is-diagonal", 0.0));
        assert_eq!((cells[2].class(), cells[2].text.as_str()), ("is-empty", ""));
        assert_eq!((cells[6].class(), cells[6].shade), ("is-strong", 1.0));
        assert_eq!((cells[1].class(), cells[1].shade), ("is-weak", 0.5));
    }

    #[test]
    fn shares_of_a_row_add_up_to_a_hundred() {
        let cells = cells(&matrix(), Measure::RowShare);
        assert_eq!((cells[6].text.as_str(), cells[8].text.as_str()), ("16.0", "84.0"));
        let columns = super::cells(&matrix(), Measure::ColumnShare);
        assert_eq!(columns[8].text, "100.0");
    }

    #[test]
    fn arrows_walk_within_the_grid_and_reach_the_headers() {
        assert_eq!(walk((0, 0), "ArrowUp", 3), Some((-1, 0)));
        assert_eq!(walk((-1, 0), "ArrowLeft", 3), None, "the corner holds nothing");
        assert_eq!(walk((2, 2), "ArrowDown", 3), None);
        assert_eq!(walk((1, 0), "End", 3), Some((1, 2)));
        assert_eq!(walk((1, 0), "x", 3), None);
    }

    #[test]
    fn every_selection_has_its_place() {
        let all = [
            MatrixSelection::Cell { gold: Label(1), predicted: Label(2) },
            MatrixSelection::Row(Label(2)),
            MatrixSelection::Column(Label(0)),
        ];
        for selection in all {
            assert_eq!(selection_at(position_of(selection)), selection);
        }
    }

    #[test]
    fn a_cell_lights_its_own_headers_only() {
        let by = MatrixSelection::Cell { gold: Label(1), predicted: Label(2) };
        assert!(is_lit((1, -1), by) && is_lit((-1, 2), by));
        assert!(!is_lit((1, 2), by) && !is_lit((2, -1), by));
    }
}
