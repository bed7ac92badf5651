//! Positions in a confusion matrix: what is chosen there, where keys lead, what lights up. Pure.

use domain::Label;

use super::MatrixSelection;

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
