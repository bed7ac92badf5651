//! Cells and shades of a confusion matrix. Pure.

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

/// Shade from which text is white instead of black, so that either is read at 4.5:1 or better.
const STRONG: f64 = 0.71;

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
        match (self.diagonal, self.text.is_empty(), self.shade > STRONG) {
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
    fn numbers_are_read_on_every_shade() {
        for i in 0..=100 {
            let shade = f64::from(i) / 100.0;
            let ground = crate::plots::colors::sequential(shade).luminance();
            let text = if shade > STRONG { 1.0 } else { 0.0 };
            let (light, dark) = if text > ground { (text, ground) } else { (ground, text) };
            let contrast = (light + 0.05) / (dark + 0.05);
            assert!(contrast >= 4.5, "{contrast:.2} at {shade}");
        }
    }

    #[test]
    fn shares_of_a_row_add_up_to_a_hundred() {
        let cells = cells(&matrix(), Measure::RowShare);
        assert_eq!((cells[6].text.as_str(), cells[8].text.as_str()), ("16.0", "84.0"));
        let columns = super::cells(&matrix(), Measure::ColumnShare);
        assert_eq!(columns[8].text, "100.0");
    }
}
