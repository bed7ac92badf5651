//! A teacher's answers to a whole split, made ready once for all questions about it: the confusion
//! matrix and the examples of a cell in any order.

use domain::{ConfusionMatrix, Error, Label, Logits, Result, SoftLabels, Temperature};

use crate::ports::StoredAnswers;

/// Immutable and shared by all readers; about 5 MB for 60,000 images.
#[derive(Debug)]
pub struct Evaluation {
    answers: Vec<Logits>,
    gold: Vec<Label>,
    predicted: Vec<Label>,
    matrix: ConfusionMatrix,
    by_confidence: Vec<u32>,
    by_margin: Vec<u32>,
}

/// Which examples are wanted. Filters hold together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExampleFilter {
    /// Of this class.
    pub gold_label: Option<Label>,
    /// Given this class.
    pub predicted_label: Option<Label>,
    /// Given a class other than their own.
    pub errors_only: bool,
}

/// In which order. Equal keys are ordered by index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExampleOrder {
    /// By position in the split.
    #[default]
    Index,
    /// By the largest probability, descending.
    Confidence,
    /// By largest less second largest probability, ascending.
    Margin,
}

impl ExampleFilter {
    /// Whether the teacher's answers are needed to filter.
    pub fn needs_teacher(&self) -> bool {
        self.predicted_label.is_some() || self.errors_only
    }
}

impl Evaluation {
    /// Takes the gold labels and the answers to the same images.
    pub fn new(gold: Vec<Label>, stored: &StoredAnswers) -> Result<Self> {
        if stored.label_count == 0 || stored.logits.len() != gold.len() * stored.label_count {
            return Err(Error::unexpected(format!(
                "{} stored logits of {} labels for {} images",
                stored.logits.len(),
                stored.label_count,
                gold.len()
            )));
        }
        let answers: Vec<Logits> = stored
            .logits
            .chunks_exact(stored.label_count)
            .map(|row| Logits::new(row.to_vec()))
            .collect::<Result<_>>()?;
        let predicted: Vec<Label> = answers.iter().map(Logits::predicted_label).collect();
        let pairs = gold.iter().copied().zip(predicted.iter().copied());
        let matrix = ConfusionMatrix::from_pairs(stored.label_count, pairs)?;
        let soft: Vec<(f64, f64)> = answers
            .iter()
            .map(|answer| answer.soft_labels(Temperature::ONE))
            .map(|labels| (labels.confidence(), labels.margin()))
            .collect();
        // Stable sorts keep equal keys in the order of their indices.
        let mut by_confidence: Vec<u32> = (0..gold.len() as u32).collect();
        by_confidence.sort_by(|&a, &b| soft[b as usize].0.total_cmp(&soft[a as usize].0));
        let mut by_margin: Vec<u32> = (0..gold.len() as u32).collect();
        by_margin.sort_by(|&a, &b| soft[a as usize].1.total_cmp(&soft[b as usize].1));
        Ok(Self { answers, gold, predicted, matrix, by_confidence, by_margin })
    }

    /// How often each gold label was given each predicted label.
    pub fn confusion_matrix(&self) -> &ConfusionMatrix {
        &self.matrix
    }

    /// Number of images.
    pub fn example_count(&self) -> u64 {
        self.gold.len() as u64
    }

    /// The answer to one image at temperature 1, if it is there.
    pub fn soft_labels(&self, index: u64) -> Option<SoftLabels> {
        let answer = self.answers.get(usize::try_from(index).ok()?)?;
        Some(answer.soft_labels(Temperature::ONE))
    }

    /// Indices of all examples that pass the filter, in order.
    pub fn select(&self, filter: ExampleFilter, order: ExampleOrder) -> Vec<u64> {
        let passes = |&index: &u64| {
            let (gold, predicted) = (self.gold[index as usize], self.predicted[index as usize]);
            filter.gold_label.is_none_or(|label| label == gold)
                && filter.predicted_label.is_none_or(|label| label == predicted)
                && !(filter.errors_only && gold == predicted)
        };
        match order {
            ExampleOrder::Index => (0..self.example_count()).filter(passes).collect(),
            ExampleOrder::Confidence => self.by_confidence.iter().map(|&i| u64::from(i)).filter(passes).collect(),
            ExampleOrder::Margin => self.by_margin.iter().map(|&i| u64::from(i)).filter(passes).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evaluation(gold: &[u32], logits: Vec<f32>) -> Evaluation {
        let stored = StoredAnswers { logits, label_count: 3, teacher_digest: String::new() };
        Evaluation::new(gold.iter().copied().map(Label).collect(), &stored).unwrap()
    }

    fn worlds() -> impl Strategy<Value = (Vec<u32>, Vec<f32>)> {
        (1usize..40).prop_flat_map(|n| (prop::collection::vec(0u32..3, n), prop::collection::vec(-4f32..4.0, n * 3)))
    }

    proptest! {
        #[test]
        fn the_lists_of_all_cells_are_the_matrix((gold, logits) in worlds()) {
            let evaluation = evaluation(&gold, logits);
            let matrix = evaluation.confusion_matrix();
            for g in 0..3 {
                for p in 0..3 {
                    let cell = ExampleFilter {
                        gold_label: Some(Label(g)),
                        predicted_label: Some(Label(p)),
                        errors_only: false,
                    };
                    let listed = evaluation.select(cell, ExampleOrder::Margin).len() as u64;
                    prop_assert_eq!(listed, matrix.count(Label(g), Label(p)));
                }
            }
            let errors = ExampleFilter { errors_only: true, ..ExampleFilter::default() };
            let error_count = evaluation.select(errors, ExampleOrder::Confidence).len() as u64;
            prop_assert_eq!(error_count, matrix.total() - matrix.correct());
        }

        #[test]
        fn orders_are_orders_of_the_same_examples((gold, logits) in worlds()) {
            let evaluation = evaluation(&gold, logits);
            let all = ExampleFilter::default();
            let soft = |i: &u64| evaluation.soft_labels(*i).unwrap();
            let by_confidence = evaluation.select(all, ExampleOrder::Confidence);
            prop_assert!(by_confidence.is_sorted_by(|a, b| soft(a).confidence() >= soft(b).confidence()));
            let by_margin = evaluation.select(all, ExampleOrder::Margin);
            prop_assert!(by_margin.is_sorted_by(|a, b| soft(a).margin() <= soft(b).margin()));
            let mut sorted = by_margin;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, evaluation.select(all, ExampleOrder::Index));
        }
    }

    #[test]
    fn equal_keys_are_ordered_by_index() {
        let evaluation = evaluation(&[0, 1, 2], vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 5.0, 0.0, 0.0]);
        assert_eq!(evaluation.select(ExampleFilter::default(), ExampleOrder::Confidence), [2, 0, 1]);
        assert_eq!(evaluation.select(ExampleFilter::default(), ExampleOrder::Margin), [0, 1, 2]);
    }

    #[test]
    fn answers_to_other_images_are_refused() {
        let stored = StoredAnswers { logits: vec![0.0; 4], label_count: 2, teacher_digest: String::new() };
        assert!(Evaluation::new(vec![Label(0)], &stored).is_err());
        assert!(Evaluation::new(vec![Label(0), Label(2)], &stored).is_err());
    }
}
