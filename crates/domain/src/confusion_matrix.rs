//! How often each gold label was given each predicted label. Rows are gold, columns predicted.

use crate::{
    error::{Error, Result},
    label::Label,
};

/// Square counts, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    label_count: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// Takes counts that are there already. They must be square.
    pub fn from_counts(label_count: usize, counts: Vec<u64>) -> Result<Self> {
        if label_count == 0 || counts.len() != label_count * label_count {
            return Err(Error::invalid(
                "counts",
                format!("{} counts are not a {label_count}×{label_count} matrix", counts.len()),
            ));
        }
        Ok(Self { label_count, counts })
    }

    /// Counts pairs of gold and predicted label. A label that is out of range is an error.
    pub fn from_pairs(label_count: usize, pairs: impl IntoIterator<Item = (Label, Label)>) -> Result<Self> {
        let mut matrix = Self::from_counts(label_count, vec![0; label_count * label_count])?;
        for (gold, predicted) in pairs {
            if gold.index() >= label_count || predicted.index() >= label_count {
                return Err(Error::invalid("labels", format!("({gold}, {predicted}) is not below {label_count}")));
            }
            matrix.counts[gold.index() * label_count + predicted.index()] += 1;
        }
        Ok(matrix)
    }

    /// Number of classes.
    pub fn label_count(&self) -> usize {
        self.label_count
    }

    /// Row-major counts.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Images of class `gold` that were given `predicted`; 0 out of range.
    pub fn count(&self, gold: Label, predicted: Label) -> u64 {
        let in_range = gold.index() < self.label_count && predicted.index() < self.label_count;
        if in_range { self.counts[gold.index() * self.label_count + predicted.index()] } else { 0 }
    }

    /// All images.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Images that were given their gold label.
    pub fn correct(&self) -> u64 {
        (0..self.label_count).map(|i| self.counts[i * self.label_count + i]).sum()
    }

    /// Images of class `gold`.
    pub fn row_total(&self, gold: Label) -> u64 {
        (0..self.label_count as u32).map(|predicted| self.count(gold, Label(predicted))).sum()
    }

    /// Images that were given `predicted`.
    pub fn column_total(&self, predicted: Label) -> u64 {
        (0..self.label_count as u32).map(|gold| self.count(Label(gold), predicted)).sum()
    }

    /// Share of right answers in `[0, 1]`; `None` without images.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.correct(), self.total())
    }

    /// Share of class `label` that was found; `None` when the class has no image.
    pub fn recall(&self, label: Label) -> Option<f64> {
        ratio(self.count(label, label), self.row_total(label))
    }

    /// Share of the answers `label` that were right; `None` when it was never answered.
    pub fn precision(&self, label: Label) -> Option<f64> {
        ratio(self.count(label, label), self.column_total(label))
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_and_columns_add_up_to_the_pairs(pairs in prop::collection::vec((0u32..5, 0u32..5), 0..200)) {
            let labels = pairs.iter().map(|&(g, p)| (Label(g), Label(p)));
            let matrix = ConfusionMatrix::from_pairs(5, labels).unwrap();
            let rows: u64 = (0..5).map(|l| matrix.row_total(Label(l))).sum();
            let columns: u64 = (0..5).map(|l| matrix.column_total(Label(l))).sum();
            prop_assert_eq!(rows, pairs.len() as u64);
            prop_assert_eq!(columns, rows);
            let right = pairs.iter().filter(|(g, p)| g == p).count() as u64;
            prop_assert_eq!(matrix.correct(), right);
        }
    }

    #[test]
    fn a_label_out_of_range_is_refused() {
        assert!(ConfusionMatrix::from_pairs(2, [(Label(0), Label(2))]).is_err());
    }
}
