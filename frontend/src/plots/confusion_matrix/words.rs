//! What a cell, a row or a column means, as a full sentence.

use domain::{ConfusionMatrix, Label};

use super::MatrixSelection;
use crate::components::{chosen::label_name, format::count};

/// One or two sentences, the same for eyes and screen readers.
pub fn sentence(matrix: &ConfusionMatrix, names: &[String], selection: MatrixSelection) -> String {
    let name = |label: Label| label_name(names, label);
    match selection {
        MatrixSelection::None => {
            "Rows: true label. Columns: what the teacher said. Choose a cell to see its images.".to_owned()
        }
        MatrixSelection::Cell { gold, predicted } => {
            let (part, whole) = (matrix.count(gold, predicted), matrix.row_total(gold));
            let verb = if gold == predicted {
                format!("{} was recognized", name(gold))
            } else {
                format!("{} was taken for {}", name(gold), name(predicted))
            };
            format!("{verb} in {}.", part_of(part, whole))
        }
        MatrixSelection::Row(gold) => {
            let whole = matrix.row_total(gold);
            let missed = whole - matrix.count(gold, gold);
            format!("{} was taken for something else in {}.", name(gold), part_of(missed, whole))
        }
        MatrixSelection::Column(predicted) => {
            let whole = matrix.column_total(predicted);
            let wrong = whole - matrix.count(predicted, predicted);
            format!("When the teacher said {}, it was wrong in {}.", name(predicted), part_of(wrong, whole))
        }
    }
}

/// `45 of 1,228 images (3.7 %)`.
fn part_of(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "no image: there is none".to_owned();
    }
    let share = 100.0 * part as f64 / whole as f64;
    let digits = if part > 0 && share < 0.1 { 2 } else { 1 };
    format!("{} of {} images ({share:.digits$} %)", count(part), count(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_told_in_a_full_sentence() {
        let names: Vec<String> = ["zero", "one"].map(str::to_owned).into();
        let matrix = ConfusionMatrix::from_counts(2, vec![1_183, 45, 0, 0]).unwrap();
        let cell = |g, p| sentence(&matrix, &names, MatrixSelection::Cell { gold: Label(g), predicted: Label(p) });
        assert_eq!(cell(0, 1), "zero was taken for one in 45 of 1,228 images (3.7 %).");
        assert_eq!(cell(0, 0), "zero was recognized in 1,183 of 1,228 images (96.3 %).");
        assert_eq!(cell(1, 1), "one was recognized in no image: there is none.");
        let column = sentence(&matrix, &names, MatrixSelection::Column(Label(1)));
        assert_eq!(column, "When the teacher said one, it was wrong in 45 of 45 images (100.0 %).");
    }
}
